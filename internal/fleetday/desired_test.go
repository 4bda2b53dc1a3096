package fleetday

import (
	"fmt"
	"strings"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// desired is an inventory.
type desired struct {
	nodes  []fleet.NodeID
	strict bool
	// ttl of the credentials; empty means a day.
	ttl string
	// issuer is the name of the region's intermediate; empty: the root issues.
	issuer string
}

func (d desired) String() string {
	enforcement := "permissive"
	if d.strict {
		enforcement = "strict"
	}
	return fmt.Sprintf("%v, %s", d.nodes, enforcement)
}

func (d desired) yaml() string {
	ttl := d.ttl
	if ttl == "" {
		ttl = "24h"
	}
	var b strings.Builder
	b.WriteString("trust_domain: fleet.example\nregions:\n  - name: nyc\n")
	if d.issuer != "" {
		fmt.Fprintf(&b, "    intermediate_ca: %s\n", d.issuer)
	}
	b.WriteString("    nodes:\n")
	for _, id := range d.nodes {
		fmt.Fprintf(&b, "      - {id: %s, attestor: mtls-cert, cred_ttl: %s, renew_before: 15m}\n", id, ttl)
	}
	fmt.Fprintf(&b, "quorum: {width: 1}\nenforcement: {require_sig: %t}\n", d.strict)
	return b.String()
}
