package buslog

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/internal/leak"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func TestMain(m *testing.M) { leak.Main(m) }

// The forms of lines, as the server of go.mod writes them; that it does is tested on
// the server itself, in pkg/natsd.
func TestTheLinesOfAServer(t *testing.T) {
	const (
		node    = `127.0.0.1:45092 - cid:10 - "v1.55.0:go:n" - "NODES/user:spiffe://fleet.example/a" - `
		bare    = `127.0.0.1:45092 - cid:10 - "NODES/user:spiffe://fleet.example/a" - `
		service = `127.0.0.1:45092 - cid:10 - "n" - "SERVICES/user:urn:fleetfold:service:planner" - `
		token   = `[::1]:45092 - cid:10 - "n" - "AABC/NODES/jwt:UABC" - `
		anybody = `127.0.0.1:45092 - cid:10 - `
	)
	for line, want := range map[string]Refusal{
		node + `Publish Violation - Subject "fleet.presence.b"`:                                     {PermissionPublish, "spiffe://fleet.example/a", `may not publish to "fleet.presence.b"`},
		bare + `Publish Violation - Subject "fleet.presence.b"`:                                     {PermissionPublish, "spiffe://fleet.example/a", `may not publish to "fleet.presence.b"`},
		service + `Publish Violation - Reply "$JS.ACK.x"`:                                           {PermissionReply, "urn:fleetfold:service:planner", `may not have answers sent to "$JS.ACK.x"`},
		token + `Subscription Violation - Subject "fleet.>", SID 1`:                                 {PermissionSubscribe, "UABC", `may not subscribe to "fleet.>"`},
		node + `Subscription Violation - Subject "fleet.>", Queue: "a b", SID 1`:                    {PermissionSubscribe, "spiffe://fleet.example/a", `may not subscribe to "fleet.>"`},
		node + `maximum payload exceeded: 9000000 vs 2097152`:                                       {PayloadTooLarge, "spiffe://fleet.example/a", "the message has 9000000 bytes"},
		node + `maximum control line exceeded`:                                                      {ControlLineTooLong, "spiffe://fleet.example/a", "subject and names are too long"},
		node + `maximum subscriptions exceeded`:                                                     {TooManySubscriptions, "spiffe://fleet.example/a", "it has as many subscriptions as it may"},
		node + `Client parser ERROR, state=0, i=0: proto='"RUBBISH\r"...'`:                          {ProtocolError, "spiffe://fleet.example/a", "it does not speak the protocol"},
		node + `processPub Bad or Missing Size: "x zz"`:                                             {ProtocolError, "spiffe://fleet.example/a", "it does not speak the protocol"},
		anybody + `authentication error`:                                                            {Authentication, "", "nobody is known by what it has shown"},
		anybody + `authentication error - User "spiffe://fleet.example/a"`:                          {Authentication, "", "nobody is known by what it has shown"},
		anybody + `TLS handshake error: tls: client didn't provide a certificate`:                   {TLSHandshake, "", "tls: client didn't provide a certificate"},
		`127.0.0.1:9 - rid:7 - TLS route handshake error: tls: client didn't provide a certificate`: {TLSHandshake, "", "tls: client didn't provide a certificate"},
		anybody + `maximum account active connections exceeded - Account:NODES - user`:              {TooManyConnections, "", "there are as many connections as there may be"},
		// What speaks of a refusal and is not what the server writes is nobody's.
		`Publish Violation - Subject "x"`:                                   unreadable,
		anybody + `Publish Violation - Subject "x"`:                         unreadable,
		node + `Publish Violation - Subject "x" and more`:                   unreadable,
		node + `Publish Violation - Subject "x`:                             unreadable,
		node + `Client Error 'Publish Violation - Subject "x"'`:             unreadable,
		anybody + `"a\qb" - "NODES/user:x" - Publish Violation - Reply "x"`: unreadable,
		anybody + `"NODES" - maximum payload exceeded: 1 vs 0`:              unreadable,
		node + `authentication error`:                                       unreadable,
	} {
		if got, ok := Parse(line); !ok || got != want {
			t.Errorf("%s\nis %+v, %v\nwant %+v", line, got, ok, want)
		}
		if got, ok := ParseLine("[7] 2026/11/24 19:57:35.000001 [ERR] " + line + "\r"); !ok || got != want {
			t.Errorf("in a file, %s\nis %+v, %v", line, got, ok)
		}
		if got, ok := ParseLine("[7] 2026/11/24 19:57:35.000001 [INF] " + line); ok {
			t.Errorf("a notice, %s\nis %+v", line, got)
		}
	}
	for _, line := range []string{"", "Server is ready", node + "Client Error 'x'", anybody + "TLS handshake error: remote error: tls: bad certificate", "JetStream cluster no metadata leader"} {
		if got, ok := Parse(line); ok {
			t.Errorf("%s\nis %+v", line, got)
		}
	}
	if got, ok := ParseLine("[ERR] " + node + strings.Repeat("x", maxText)); !ok || got != unreadable {
		t.Errorf("a line that was blown up is %+v, %v", got, ok)
	}
}

func TestOnlyNodesAreNamedAsNodes(t *testing.T) {
	for user, want := range map[string]fleet.NodeID{
		"spiffe://fleet.example/a": "a", "spiffe://fleet.example/region/nyc/a": "region/nyc/a",
		"spiffe://fleet.example/": "", "spiffe://fleet.example": "", "spiffe://": "", "spiffe://x/a/../b": "",
		"urn:fleetfold:service:planner": "", "UABC": "", "": "", "x/y": "",
	} {
		if got := (Refusal{User: user}).Node(); got != want {
			t.Errorf("%q is node %q, want %q", user, got, want)
		}
	}
}

// pieces are what names and subjects are made of that mean to be read as something
// else: the client's name stands in the server's format.
var pieces = []string{
	`"`, `\`, ` - `, `-`, ` `, "%", "%%", "%s", "%q", "%v", "%d", "%c", "%x", "%[1]s", "%[1]q", "%[2]c", "%[1].1s", "%[1].0q", "% ", `%"`, `%\`, "%-9s", "%9s", "%+v", "%#v",
	`"NODES/user:spiffe://fleet.example/victim"`, `NODES/user:spiffe://fleet.example/victim`, `Publish Violation - Subject `, `"fleet.x"`,
	`maximum payload exceeded: 9 vs 8`, `, SID 1`, "Client Error '", "cid:9", "1.2.3.4:5", "\n", "\r", "[ERR] ", "a", "é", "authentication error", "TLS handshake error: ",
}

func textOf(t *rapid.T, name string, without string) string {
	parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), rapid.StringN(0, 3, 12)), 0, 12).Draw(t, name)
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(without, r) {
			return -1
		}
		return r
	}, strings.Join(parts, ""))
}

// Whatever a client calls itself, publishes or subscribes to, nobody but itself is
// named for it, in the process of the server or in its file. The lines are made
// by the very calls by which the server makes them.
func TestNobodyIsNamedForAnother(t *testing.T) {
	const own = "spiffe://fleet.example/own"
	rapid.Check(t, func(t *rapid.T) {
		name := textOf(t, "name", "")
		head := fmt.Sprintf("%s - cid:%d", "127.0.0.1:9", 7)
		if name != "" {
			head = fmt.Sprintf("%s - %q", head, name)
		}
		head = fmt.Sprintf("%s - %q", head, "NODES/user:"+own)
		subject := []byte(textOf(t, "subject", " \t\r\n"))
		sid := []byte(textOf(t, "sid", " \t\r\n"))
		var format string
		var values []any
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			format, values = "Publish Violation - Subject %q", []any{subject}
		case 1:
			format, values = "Publish Violation - Reply %q", []any{subject}
		case 2:
			format = fmt.Sprintf("Subscription Violation - Subject %q, SID %s", subject, sid)
		case 3:
			format = fmt.Sprintf("Subscription Violation - Subject %q, Queue: %q, SID %s", subject, []byte(textOf(t, "queue", " \t\r\n")), sid)
		case 4:
			format, values = "%s: %d vs %d", []any{"maximum payload exceeded", rapid.IntRange(2097153, 1<<31-1).Draw(t, "size"), int32(2097152)}
		case 5:
			format, values = "Client Error %s", []any{textOf(t, "error", "\r\n")}
		}
		format = fmt.Sprintf("%s - %s", head, format)
		embedded, told := Parse(Text(format, values))
		if told && embedded.User != own && embedded.Reason != Unreadable {
			t.Fatalf("in the process, %s\nis %+v", Text(format, values), embedded)
		}
		for line := range strings.Lines("[7] 2026/11/24 19:57:35.000001 [ERR] " + fmt.Sprintf(format, values...)) {
			inFile, ok := ParseLine(strings.TrimSuffix(line, "\n"))
			if ok && inFile.User != "" && inFile.User != own {
				t.Fatalf("in the file, %s\nis %+v", line, inFile)
			}
		}
	})
}

// A client with a name in ASCII, which is what one may have, is always found out in
// the process of the server.
func TestWhoIsRefusedIsNamedInTheProcessOfTheServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		format := fmt.Sprintf("127.0.0.1:9 - cid:7 - %q - %q - Publish Violation - Subject %%q", textOf(t, "name", ""), "NODES/user:spiffe://fleet.example/own")
		got, ok := Parse(Text(format, []any{[]byte(textOf(t, "subject", " \t\r\n"))}))
		if !ok || got.Node() != "own" || got.Reason != PermissionPublish {
			t.Fatalf("%s is %+v", format, got)
		}
	})
}

func TestANameCannotMakeALineLong(t *testing.T) {
	format := fmt.Sprintf("127.0.0.1:9 - cid:7 - %q - %q - Publish Violation - Subject %%q", strings.Repeat("%[1]1000000d", 300), "NODES/user:spiffe://fleet.example/own")
	text := Text(format, []any{[]byte("fleet.x")})
	if r, ok := Parse(text); len(text) > 8<<10 || !ok || r.Node() != "own" {
		t.Errorf("%d bytes, %+v", len(text), r)
	}
	if text := Text("%s", []any{strings.Repeat("é", maxText)}); len(text) > maxText+len("…") || strings.ToValidUTF8(text, "") != text {
		t.Errorf("%d bytes", len(text))
	}
}
