package busconf

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func publicKey(t *testing.T, make func() (nkeys.KeyPair, error)) string {
	t.Helper()
	pair, err := make()
	if err != nil {
		t.Fatal(err)
	}
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func somePublicKeys(t *testing.T) PublicKeys {
	t.Helper()
	keys := PublicKeys{Accounts: make(map[string]string), Signing: make(map[Role]string)}
	for _, name := range AccountNames() {
		keys.Accounts[name] = publicKey(t, nkeys.CreateAccount)
	}
	for _, r := range Roles() {
		keys.Signing[r] = publicKey(t, nkeys.CreateAccount)
	}
	return keys
}

func accountsOf(t *testing.T, c Config, keys PublicKeys) map[string]*jwt.AccountClaims {
	t.Helper()
	list, err := c.AccountClaims(keys)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]*jwt.AccountClaims)
	for _, a := range list {
		all[a.Name] = a
	}
	return all
}

// One table: what a signing key lets its users do is what the configuration of
// the other mode lets each do.
func TestSigningKeysGiveTheRightsOfTheTable(t *testing.T) {
	keys := somePublicKeys(t)
	all := accountsOf(t, Config{Prefix: "trust"}, keys)
	scopes := 0
	for _, a := range all {
		scopes += len(a.SigningKeys)
	}
	if scopes != len(Roles()) {
		t.Errorf("there are %d signing keys, want %d", scopes, len(Roles()))
	}
	for _, r := range Roles() {
		found, ok := all[r.Account()].SigningKeys.GetScope(keys.Signing[r])
		scope, isUser := found.(*jwt.UserScope)
		if !ok || !isUser {
			t.Fatalf("%s has no scope", r)
		}
		token := ""
		if r == Node {
			token = "rack%2Fn"
		}
		want, got := grant(r, "trust", token), scope.Template
		for what, c := range map[string][2][]string{
			"publish": {got.Pub.Allow, want.Publish}, "not publish": {got.Pub.Deny, want.Deny}, "subscribe": {got.Sub.Allow, want.Subscribe}, "not subscribe": {got.Sub.Deny, nil},
		} {
			var filled []string
			for _, s := range c[0] {
				filled = append(filled, strings.ReplaceAll(s, ownToken, token))
			}
			if !slices.Equal(filled, c[1]) {
				t.Errorf("%s may %s\n%q, want\n%q", r, what, filled, c[1])
			}
		}
		if (got.Resp != nil) != want.Answer || want.Answer && (got.Resp.MaxMsgs != answers || got.Resp.Expires != answerTime) {
			t.Errorf("%s may answer: %+v", r, got.Resp)
		}
		if !slices.Equal(got.AllowedConnectionTypes, []string{jwt.ConnectionTypeStandard}) || got.BearerToken {
			t.Errorf("%s may connect by %q", r, got.AllowedConnectionTypes)
		}
	}
}

func TestAccountsAskOnlyWhatTheirUsersMay(t *testing.T) {
	keys := somePublicKeys(t)
	all := accountsOf(t, Config{Prefix: "trust"}, keys)
	asks := func(account string) (subjects []string) {
		for _, i := range all[account].Imports {
			if i.IsService() {
				subjects = append(subjects, string(i.Subject))
			}
		}
		return subjects
	}
	for account, want := range map[string][]string{
		SystemAccount: nil, servicesName: {"trust.command.*"}, gateAccount: grant(Node, "trust", "*").Publish, nodesAccount: grant(Node, "trust", "*").Publish,
		Operator.Account(): grant(Operator, "trust", "").Publish, Auditor.Account(): grant(Auditor, "trust", "").Publish,
	} {
		got := asks(account)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s asks\n%q, want\n%q", account, got, want)
		}
	}
	for name, a := range all {
		if streams := a.Limits.IsJSEnabled(); streams != (name == servicesName) {
			t.Errorf("%s has streams: %v", name, streams)
		}
		if a.Limits.LeafNodeConn != 0 || !a.Limits.DisallowBearer || len(a.DefaultPermissions.Pub.Allow) > 0 {
			t.Errorf("%s lets in who has no key, or leaf nodes", name)
		}
		for _, i := range a.Imports {
			if name == nodesAccount && i.IsService() && i.Account != keys.Accounts[gateAccount] {
				t.Errorf("nodes ask %s past the gate", i.Subject)
			}
		}
	}
}

func TestRevocationsAreOfTheAccountOfTheRole(t *testing.T) {
	keys := somePublicKeys(t)
	node, planner, now := publicKey(t, nkeys.CreateUser), publicKey(t, nkeys.CreateUser), time.Now()
	keys.Revoked = map[Role]map[string]time.Time{Node: {node: now}, Planner: {planner: now}}
	for name, a := range accountsOf(t, Config{}, keys) {
		for key, of := range map[string]string{node: nodesAccount, planner: servicesName} {
			if a.Revocations.IsRevoked(key, now) != (name == of) {
				t.Errorf("%s of %s is revoked in %s, or not: %v", key, of, name, a.Revocations)
			}
		}
	}
}

func TestTheConfigurationOfTokensNamesNoNode(t *testing.T) {
	c := Config{TrustDomain: "x.example", Nodes: []fleet.NodeID{"rack-77"}}
	text, err := c.TokenText(Signed{Operator: "o", System: "s", Accounts: []SignedAccount{{"NODES", "A1", "token"}}})
	if err != nil || strings.Contains(text, "rack-77") || !strings.Contains(text, `"A1": "token"`) || strings.Contains(text, "verify_and_map") {
		t.Errorf("%v\n%s", err, text)
	}
	for name, c := range map[string]Config{
		"a name with a quote":     {Name: `"`},
		"a route with a line":     {Cluster: &Cluster{Routes: []string{"a\n"}}},
		"a monitor with a quote":  {Monitor: `"`},
		"a prefix with a dot":     {Prefix: "a.b"},
		"routes heard at a quote": {Cluster: &Cluster{Listen: `"`}},
		"a quote for others":      {Cluster: &Cluster{Advertise: `"`}},
	} {
		if text, err := c.TokenText(Signed{}); err == nil {
			t.Errorf("%s gives\n%s", name, text)
		}
		if _, err := c.Text(); err == nil {
			t.Errorf("%s gives a configuration", name)
		}
	}
}

func TestNothingIsSaidTwice(t *testing.T) {
	exports := outermostExports(jwt.Exports{
		{Subject: "a.b", Type: jwt.Service}, {Subject: "a.*", Type: jwt.Service}, {Subject: "a.*", Type: jwt.Service},
		{Subject: "a.b", Type: jwt.Stream}, {Subject: "a.b.c", Type: jwt.Service}, {Subject: "*.b", Type: jwt.Service},
	})
	var got []string
	for _, e := range exports {
		got = append(got, e.Type.String()+" "+string(e.Subject))
	}
	if want := []string{"service a.*", "stream a.b", "service a.b.c", "service *.b"}; !slices.Equal(got, want) {
		t.Errorf("exports are %q, want %q", got, want)
	}
	got = nil
	for _, i := range outermostImports(jwt.Imports{
		{Subject: "a.b", Account: "x", Type: jwt.Service}, {Subject: "a.>", Account: "x", Type: jwt.Service}, {Subject: "a.>", Account: "x", Type: jwt.Service},
		{Subject: "a.b", Account: "y", Type: jwt.Service}, {Subject: "a.b", Account: "x", Type: jwt.Stream},
	}) {
		got = append(got, i.Type.String()+" "+i.Account+" "+string(i.Subject))
	}
	if want := []string{"service x a.>", "service y a.b", "stream x a.b"}; !slices.Equal(got, want) {
		t.Errorf("imports are %q, want %q", got, want)
	}
}
