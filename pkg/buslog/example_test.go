package buslog_test

import (
	"context"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/buslog"
)

// A server's lines become counts, by node and reason.
func Example() {
	var tally buslog.Tally
	for _, line := range []string{
		`[1] 2026/11/24 19:57:35.000001 [ERR] 10.0.0.7:40000 - cid:9 - "v1.55.0:go:agent" - "NODES/user:spiffe://fleet.example/n1" - Publish Violation - Subject "fleet.presence.n2"`,
		`[1] 2026/11/24 19:57:35.000002 [ERR] 10.0.0.7:40000 - cid:9 - "v1.55.0:go:agent" - "NODES/user:spiffe://fleet.example/n1" - Publish Violation - Subject "fleet.presence.n3"`,
		`[1] 2026/11/24 19:57:36.000001 [ERR] 10.0.0.8:40000 - cid:10 - TLS handshake error: tls: client didn't provide a certificate`,
		`[1] 2026/11/24 19:57:37.000001 [INF] Server is ready`,
	} {
		if r, ok := buslog.ParseLine(line); ok {
			tally.Add(r)
		}
	}
	all, err := tally.Next(context.Background())
	for _, r := range all {
		fmt.Printf("%q %s %d: %s\n", r.Node, r.Reason, r.Count, r.Detail)
	}
	fmt.Println(err)
	// Output:
	// "" tls_handshake 1: tls: client didn't provide a certificate
	// "n1" permission_publish 2: may not publish to "fleet.presence.n3"
	// <nil>
}
