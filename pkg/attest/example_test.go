package attest_test

import (
	"context"
	"fmt"
	"os"

	"github.com/fleetfold/fleetfold/pkg/attest"
	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// A node that was equipped shows who it is, and cannot pose as another.
func Example() {
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "attest")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	authority, err := attest.OpenLocal(folder, nil)
	if err != nil {
		panic(err)
	}
	if err := authority.Equip("node-1", folder); err != nil {
		panic(err)
	}

	for _, node := range []fleet.NodeID{"node-1", "node-2"} {
		challenge := attest.Challenge{TrustDomain: "fleet.example", Node: node, Nonce: "drawn afresh", CSRPEM: "..."}
		evidence, err := attest.ProversIn(folder).Prove(ctx, fleet.AttestorMTLSCert, challenge)
		if err != nil {
			panic(err)
		}
		err = authority.Verifiers().Verify(ctx, fleet.AttestorMTLSCert, challenge, evidence)
		fmt.Println(node, err)
	}
	// Output:
	// node-1 <nil>
	// node-2 attestation_name: the client certificate's common name is "node-1", which is not node "node-2"
}
