package events

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func anyNodeID() *rapid.Generator[fleet.NodeID] {
	return rapid.Custom(func(t *rapid.T) fleet.NodeID {
		s := rapid.StringMatching(`[A-Za-z0-9_:@./-]{1,128}`).Filter(func(s string) bool {
			_, err := fleet.ParseNodeID(s)
			return err == nil
		}).Draw(t, "id")
		return fleet.NodeID(s)
	})
}

func TestATokenIsOneSafeWordThatLeadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := anyNodeID().Draw(t, "node")
		token := Token(id)
		if token == "" || strings.ContainsAny(token, ".*> /\\:\t\r\n") || token[0] == '-' {
			t.Fatalf("token of %q is %q", id, token)
		}
		back, err := ParseToken(token)
		if err != nil || back != id {
			t.Fatalf("token %q of %q leads to %q, %v", token, id, back, err)
		}
		if s := DefaultSubjects(); strings.Count(s.Node(id), ".") != 3 || strings.Count(s.Presence(id), ".") != 2 {
			t.Fatalf("subjects of %q are %q and %q", id, s.Node(id), s.Presence(id))
		}
	})
}

func TestTwoNodesNeverShareAToken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyNodeID().Draw(t, "a"), anyNodeID().Draw(t, "b")
		if (a == b) != (Token(a) == Token(b)) {
			t.Fatalf("%q and %q have the tokens %q and %q", a, b, Token(a), Token(b))
		}
	})
}

func TestTokens(t *testing.T) {
	for id, want := range map[fleet.NodeID]string{
		"n1": "n1", "region/nyc/node-1": "region%2Fnyc%2Fnode-1", "n.1": "n%2E1", "-rf": "%2Drf",
		"@": "@", ".": "%2E", "a/": "a%2F", "host:dev_1": "host%3Adev_1",
	} {
		if got := Token(id); got != want {
			t.Errorf("Token(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestFileNames(t *testing.T) {
	owner := make(map[string]fleet.NodeID)
	for _, id := range []fleet.NodeID{
		"n1", "a/b", "-rf", fleet.NodeID(strings.Repeat("a", 128)), fleet.NodeID(strings.Repeat("-", 128)),
		fleet.NodeID("a" + strings.Repeat("/", 127)), fleet.NodeID("a" + strings.Repeat("/", 126) + ":"),
		fleet.NodeID(strings.Repeat("a/", 64)), fleet.NodeID("b" + strings.Repeat(":", 127)), fleet.NodeID(strings.Repeat(":", 128)),
		// Tokens of 200 bytes, of 201, and of 252 to 255: with ".log" too long.
		fleet.NodeID(strings.Repeat("a", 56) + strings.Repeat(":", 48)), fleet.NodeID(strings.Repeat("a", 57) + strings.Repeat(":", 48)),
		fleet.NodeID(strings.Repeat("a", 66) + strings.Repeat(":", 62)), fleet.NodeID(strings.Repeat("a", 65) + strings.Repeat(":", 63)),
	} {
		if _, err := fleet.ParseNodeID(string(id)); err != nil {
			t.Fatal(err)
		}
		name := FileName(id)
		if other, taken := owner[name]; taken {
			t.Errorf("%q and %q share the name %q", id, other, name)
		}
		owner[name] = id
		if name == "" || len(name) > 220 || name[0] == '-' || strings.ContainsAny(name, "./\\:") {
			t.Errorf("%q has the name %q", id, name)
		}
		token := Token(id)
		if short := len(token) <= 200; short != (name == token) || short == strings.Contains(name, "~") {
			t.Errorf("the token %q, %d bytes long, has the name %q", token, len(token), name)
		}
	}
	if got, want := FileName(fleet.NodeID("a"+strings.Repeat("/", 127))), "a"+strings.Repeat("%2F", 49)+"%2~57ab88c6e137bd82ad5ae1cab46d58e2"; got != want {
		t.Errorf("got %q, want %q: folders of nodes that are there would not be found", got, want)
	}
}

func TestParseTokenRefuses(t *testing.T) {
	for why, token := range map[string]string{
		"nothing":                      "",
		"lower-case hex":               "n%2e1",
		"a needless encoding":          "%6E1",
		"a byte that must be encoded":  "n.1",
		"a leading dash":               "-rf",
		"half an escape":               "n%2",
		"an escape that is not hex":    "n%2Z",
		"an id with two dots":          "a%2E%2Eb",
		"an id with a leading slash":   "%2Fa",
		"a character that ids lack":    "a%20b",
		"bytes that are not UTF-8":     "%C0%A0",
		"an id that is 129 bytes long": strings.Repeat("a", 129),
		"a wildcard":                   "*",
	} {
		if id, err := ParseToken(token); err == nil {
			t.Errorf("%s: %q is taken for %q", why, token, id)
		}
	}
}

func TestPresenceNode(t *testing.T) {
	s, err := NewSubjects("blue")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := s.PresenceNode("blue.presence.n%2E1"); err != nil || id != "n.1" {
		t.Errorf("got %q, %v", id, err)
	}
	for _, subject := range []string{"fleet.presence.n1", "blue.presence.a.b", "blue.presence.", "blue.command.n1", ""} {
		if id, err := s.PresenceNode(subject); err == nil {
			t.Errorf("%q is taken for the presence of %q", subject, id)
		}
	}
	for _, prefix := range []string{"", "a.b", "a b", "*", ">", "-a", "a@", strings.Repeat("a", 33)} {
		if _, err := NewSubjects(prefix); err == nil {
			t.Errorf("prefix %q is accepted", prefix)
		}
	}
}
