package busconf

import (
	"crypto/x509"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestSecurityShowsTheTable(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n"+Markdown()+"\n") {
		t.Errorf("SECURITY.md must show this table:\n%s", Markdown())
	}
}

// askServers changes nothing, and is the one thing that anybody may ask of the
// servers' own account.
const askServers = "$SYS.REQ.SERVER.PING.VARZ"

// Nobody may do away with what is stored, and nobody may do everything.
func TestNobodyMayAdministerStreams(t *testing.T) {
	for _, r := range Table() {
		if r.Why == "" || len(r.Roles) == 0 {
			t.Errorf("%+v lacks who or why", r)
		}
		for _, s := range r.Subjects {
			if r.Verb == Deny {
				continue
			}
			for _, bad := range []string{"STREAM.DELETE", "STREAM.PURGE", "STREAM.UPDATE", "STREAM.RESTORE", "STREAM.SNAPSHOT", "MSG.DELETE", "$SYS"} {
				if strings.Contains(s, bad) && s != askServers {
					t.Errorf("%v may %s %s", r.Roles, r.Verb, s)
				}
			}
			if first, _, _ := strings.Cut(s, "."); first == "*" || first == ">" || s == "<fleet>.>" || strings.HasPrefix(s, "$JS.API.>") {
				t.Errorf("%v may %s %s, which is too much", r.Roles, r.Verb, s)
			}
		}
	}
	if g := grant(Auditor, "fleet", ""); slices.ContainsFunc(g.Publish, func(s string) bool {
		return !strings.HasPrefix(s, "$JS.API.DIRECT.GET.") && !strings.HasPrefix(s, "$SRV.STATS.") &&
			!strings.HasPrefix(s, "$JS.API.STREAM.INFO.") && !strings.HasPrefix(s, "$JS.API.CONSUMER.INFO.") && s != "$JS.API.INFO" && s != askServers
	}) || g.Answer {
		t.Errorf("the auditor may do more than read: %+v", g)
	}
}

// Whatever a node may say, one of its subjects' tokens is its own.
func TestANodesSubjectsAreItsOwn(t *testing.T) {
	g := grant(Node, "fleet", "rack%2Fn%2E1")
	for _, s := range slices.Concat(g.Publish, g.Subscribe) {
		if !strings.Contains(s, ".rack%2Fn%2E1") && !strings.Contains(s, ".trust.") && s != "$JS.API.DIRECT.GET.FLEET_TRUST" {
			t.Errorf("a node may use %s", s)
		}
	}
}

func TestTextRefusesWhatWouldNotBeAConfiguration(t *testing.T) {
	for name, c := range map[string]Config{
		"a prefix of two tokens":     {Prefix: "a.b"},
		"an address with a quote":    {Listen: `x"`},
		"a folder with a line break": {Dir: "a\nb"},
		"no trust domain":            {Nodes: []fleet.NodeID{"a"}},
		"an id that is none":         {TrustDomain: "x", Nodes: []fleet.NodeID{"a*"}},
		"another id that is none":    {TrustDomain: "x", Nodes: []fleet.NodeID{">"}},
	} {
		if text, err := c.Text(); err == nil {
			t.Errorf("%s gives\n%s", name, text)
		}
	}
}

func TestThePrefixIsEverywhere(t *testing.T) {
	text, err := Config{Prefix: "trust", TrustDomain: "x.example", Nodes: []fleet.NodeID{"a"}}.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"fleet.", "FLEET", "<"} {
		for line := range strings.Lines(text) {
			if code, _, _ := strings.Cut(line, "#"); strings.Contains(code, bad) {
				t.Errorf("%q is in %s", bad, line)
			}
		}
	}
	// Inboxes never cross accounts, whatever the prefix.
	if strings.Contains(text, `subject: "_INBOX`) {
		t.Error("an inbox is imported")
	}
}

func TestRoleOf(t *testing.T) {
	for name, want := range map[string]Role{
		Planner.URI(): Planner, Auditor.URI(): Auditor, "urn:fleetfold:service:node": "", "urn:fleetfold:service:root": "", "spiffe://x/planner": "",
	} {
		uri, err := url.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := RoleOf(&x509.Certificate{URIs: []*url.URL{uri}}); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
		if got := RoleOf(&x509.Certificate{URIs: []*url.URL{uri, uri}}); got != "" {
			t.Errorf("two names are %q", got)
		}
	}
}
