package simulate

import (
	"bufio"
	"fmt"
	"io"
)

// Inventory says of what kind the inventory of simulated nodes is.
type Inventory struct {
	TrustDomain string
	// Regions that the nodes are spread over evenly, at least one.
	Regions int
	// TTL and Before are the lives of credentials and when they are renewed, as
	// an inventory writes them, such as 1h.
	TTL, Before string
	// Strict asks for enforcement.
	Strict bool
}

// WriteInventory writes an inventory of all nodes of the simulation.
func (c Config) WriteInventory(w io.Writer, k Inventory) error {
	c = c.withDefaults()
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "trust_domain: %s\nquorum: {width: 1}\nenforcement: {require_sig: %v}\nregions:\n", k.TrustDomain, k.Strict)
	regions := min(k.Regions, c.Nodes)
	for r := range regions {
		fmt.Fprintf(b, "  - name: region-%d\n    nodes:\n", r)
		for i := r * c.Nodes / regions; i < (r+1)*c.Nodes/regions; i++ {
			fmt.Fprintf(b, "      - {id: %q, attestor: mtls-cert, cred_ttl: %s, renew_before: %s}\n", c.ID(i), k.TTL, k.Before)
		}
	}
	return b.Flush() // has kept the first error
}
