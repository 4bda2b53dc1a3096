package attest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

const behaviour = "ATTEST_TEST_PLUGIN"

// TestMain lets the test binary be the plugin.
func TestMain(m *testing.M) {
	if how := os.Getenv(behaviour); how != "" {
		os.Exit(plugin(how))
	}
	os.Exit(m.Run())
}

func plugin(how string) int {
	var q Question
	line, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	if err := json.Unmarshal([]byte(line), &q); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	switch how {
	case "judges":
		if q.Payload != "open sesame" || q.Nonce == "" || len(q.CSRSHA256) != 64 || q.KeyFingerprint == "" || q.TrustDomain == "" {
			fmt.Fprintln(os.Stderr, "the token is not known")
			return 1
		}
		fmt.Println(q.Node)
	case "names another":
		fmt.Println("node-2")
	case "prints nothing":
	case "prints rubbish":
		fmt.Println("\x00\x1b[31m no id")
	case "prints two lines":
		fmt.Printf("%s\n%s\n", q.Node, q.Node)
	case "prints for ever":
		for {
			if _, err := fmt.Println(q.Node); err != nil {
				return 1
			}
		}
	case "says so and fails":
		fmt.Println(q.Node)
		return 1
	case "crashes":
		panic("crash")
	case "hangs":
		bufio.NewReader(os.Stdin).ReadString('\n')
		<-make(chan int)
	}
	return 0
}

func run(t *testing.T, how string) Plugin {
	t.Helper()
	t.Setenv(behaviour, how)
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each plugin takes a second more
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	limit := time.Minute
	if how == "hangs" || how == "prints for ever" {
		limit = 500 * time.Millisecond
	}
	return Plugin{Command: []string{self}, Timeout: limit}
}

func TestPlugins(t *testing.T) {
	for how, c := range map[string]struct {
		payload string
		want    fleet.Reason
	}{
		"judges":            {"open sesame", ""},
		"judges and denies": {"guess", ReasonPlugin},
		"names another":     {"", ReasonName},
		"prints nothing":    {"", ReasonPlugin},
		"prints rubbish":    {"", ReasonPlugin},
		"prints two lines":  {"", ReasonPlugin},
		"prints for ever":   {"", ReasonPluginTimeout},
		"says so and fails": {"", ReasonPlugin},
		"crashes":           {"", ReasonPlugin},
		"hangs":             {"", ReasonPluginTimeout},
	} {
		t.Run(how, func(t *testing.T) {
			p := run(t, strings.TrimSuffix(how, " and denies"))
			err := p.Verify(t.Context(), challenge("node-1"), Evidence{Payload: c.payload})
			want(t, err, c.want)
			if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("the refusal quotes what the plugin printed: %q", err)
			}
		})
	}
}

func TestPluginsThatCannotRun(t *testing.T) {
	want(t, Plugin{}.Verify(t.Context(), challenge("node-1"), Evidence{}), ReasonUnconfigured)
	want(t, Plugin{Command: []string{filepath.Join(t.TempDir(), "missing")}}.Verify(t.Context(), challenge("node-1"), Evidence{}), ReasonPlugin)
	want(t, run(t, "judges").Verify(t.Context(), challenge("node-1"), Evidence{Payload: strings.Repeat("x", maxPayload+1)}), ReasonMalformed)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(t, "judges").Verify(ended, challenge("node-1"), Evidence{Payload: "open sesame"})
	if err == nil || fleet.ReasonOf(err) != "" {
		t.Errorf("whoever stops the issuer refuses nobody: %v", err)
	}
}

func TestPayloadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	prover := PayloadFile{Path: path}
	if _, err := prover.Prove(t.Context(), Challenge{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(" open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := prover.Prove(t.Context(), Challenge{})
	if err != nil || e.Payload != "open sesame" {
		t.Errorf("%q, %v", e.Payload, err)
	}
}

func TestTheInventoryNamesTheKind(t *testing.T) {
	plugin, cert := run(t, "judges"), authority(t)
	both := Verifiers{fleet.AttestorMTLSCert: cert, fleet.AttestorNodePlugin: plugin}
	token := &Evidence{Attestor: fleet.AttestorNodePlugin, Payload: "open sesame"}
	for sentence, c := range map[string]struct {
		verifiers Verifiers
		kind      fleet.Attestor
		evidence  *Evidence
		want      fleet.Reason
	}{
		"the kind that is asked for":  {both, fleet.AttestorNodePlugin, token, ""},
		"another kind":                {both, fleet.AttestorMTLSCert, token, ReasonKind},
		"none":                        {both, fleet.AttestorNodePlugin, nil, ReasonMissing},
		"a kind that nobody verifies": {Verifiers{fleet.AttestorMTLSCert: cert}, fleet.AttestorNodePlugin, token, ReasonUnconfigured},
		"nothing configured":          {nil, fleet.AttestorNodePlugin, token, ReasonUnconfigured},
		"no kind in the inventory":    {both, "", token, ReasonUnconfigured},
		"evidence that names no kind": {both, fleet.AttestorNodePlugin, &Evidence{Payload: "open sesame"}, ReasonKind},
	} {
		t.Run(sentence, func(t *testing.T) {
			want(t, c.verifiers.Verify(t.Context(), c.kind, challenge("node-1"), c.evidence), c.want)
		})
	}
	e, err := Provers{}.Prove(t.Context(), fleet.AttestorMTLSCert, Challenge{})
	if e != nil || err != nil {
		t.Errorf("a node without evidence: %v, %v", e, err)
	}
}

func TestLocalVouchesForItsOwnNodes(t *testing.T) {
	here, err := OpenLocal(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := OpenLocal(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := here.Equip("node-1", folder); err != nil {
		t.Fatal(err)
	}
	again, err := OpenLocal(filepath.Dir(here.File), nil)
	if err != nil {
		t.Fatal(err)
	}
	for kind, reasons := range map[fleet.Attestor][2]fleet.Reason{
		fleet.AttestorMTLSCert: {ReasonName, ReasonCertificate}, fleet.AttestorNodePlugin: {ReasonSignature, ReasonSignature},
	} {
		judge := func(l *Local, node fleet.NodeID) error {
			evidence, err := ProversIn(folder).Prove(t.Context(), kind, challenge(node))
			if err != nil {
				t.Fatal(err)
			}
			return l.Verifiers().Verify(t.Context(), kind, challenge(node), evidence)
		}
		want(t, judge(here, "node-1"), "")
		want(t, judge(again, "node-1"), "")
		want(t, judge(here, "node-2"), reasons[0])
		want(t, judge(elsewhere, "node-1"), reasons[1])
	}
	if len(ProversIn(t.TempDir())) != 0 {
		t.Error("an empty folder holds evidence")
	}
}
