package inventory_test

import (
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/inventory"
)

func Example() {
	file := []byte(`trust_domain: fleet.example
regions:
  - name: nyc
    nodes:
      - {id: node-1, attestor: mtls-cert, cred_ttl: 1h, renew_before: 15m}
      - {id: node-2, attestor: mtls-cert, cred_ttl: 1h, renew_before: 2h}
quorum: {width: 1}
enforcement: {requir_sig: true}
`)
	_, rep := inventory.Parse(file)
	for _, p := range rep.Errors {
		fmt.Printf("line %d: %s: %s\n", p.Line, p.Path, p.Message)
	}
	// Output:
	// line 6: regions[0].nodes[1].renew_before: renew_before (2h0m0s) must be shorter than cred_ttl (1h0m0s)
	// line 8: enforcement.requir_sig: unknown key "requir_sig": did you mean require_sig?
}

func ExampleParseDuration() {
	d, err := inventory.ParseDuration(" 15 MINUTES ")
	fmt.Println(d, err)
	// Output: 15m0s <nil>
}
