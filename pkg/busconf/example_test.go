package busconf_test

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/busconf"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

func ExampleConfig_Text() {
	text, err := busconf.Config{TrustDomain: "fleet.example", Nodes: []fleet.NodeID{"rack/n.1"}}.Text()
	if err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "spiffe://") || strings.Contains(line, "command.rack") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// {user: "spiffe://fleet.example/rack/n.1", permissions: {
	// subscribe: {allow: ["fleet.command.rack%2Fn%2E1", "fleet.trust.>", "_INBOX.fleet.rack%2Fn%2E1.>"] }
}
