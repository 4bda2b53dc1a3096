package identity_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// A node gets a credential and proves that it holds the key.
func Example() {
	dir, err := os.MkdirTemp("", "identity")
	check(err)
	defer os.RemoveAll(dir)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	ca, _, err := identity.LoadOrCreateCA(filepath.Join(dir, "ca"), "fleet.example", now)
	check(err)
	key, _, err := identity.LoadOrCreateKey(filepath.Join(dir, "node", "node.key"))
	check(err)
	request, err := identity.NewCSR(key)
	check(err)

	csr, err := identity.ParseCSR(request)
	check(err)
	issued, err := ca.Issue(csr, "eu/node:1", time.Hour, now)
	check(err)

	event := identity.Core{ID: "1", Source: "/nodes/1", SpecVersion: "1.0", Type: "credential.proved", Data: []byte(`{"nonce":"x"}`)}
	proof, err := identity.Sign(key, event, nil)
	check(err)

	leaf, err := identity.VerifyLeaf(issued.CertificatePEM, [][]byte{ca.CertificatePEM()}, "fleet.example", "eu/node:1", now)
	check(err)
	_, err = identity.Verify(proof, leaf.PublicKey, event, nil)
	fmt.Println(leaf.URIs[0], err)

	event.Data = []byte(`{"nonce":"y"}`)
	_, err = identity.Verify(proof, leaf.PublicKey, event, nil)
	fmt.Println(fleet.ReasonOf(err))
	// Output:
	// spiffe://fleet.example/_enc/eu_2Fnode_3A1 <nil>
	// proof_core_mismatch
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
