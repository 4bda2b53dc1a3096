package projection_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Issuers and bundles are kept once for all nodes, as long as they are
// few. Nodes report what they like: many are kept all the same.
func TestManyNamesComeBack(t *testing.T) {
	s := projection.New()
	for n := range 5000 {
		id := fleet.NodeID(fmt.Sprint("n", n))
		for _, d := range []events.Payload{
			&events.NodeAppeared{Epoch: 1, KeyFingerprint: "k"},
			&events.NodeBundleReported{Epoch: 1, Digest: fmt.Sprint("bundle-", n)},
			&events.CredentialIssued{Epoch: 1, Serial: "a", KeyFingerprint: "k", Issuer: fmt.Sprint("issuer-", n)},
			&events.NodeBundleReported{Epoch: 1, Digest: fmt.Sprint("bundle-", n-n%2)},
		} {
			kind := events.TypeNodeBundleReported
			switch d.(type) {
			case *events.NodeAppeared:
				kind = events.TypeNodeAppeared
			case *events.CredentialIssued:
				kind = events.TypeCredentialIssued
			}
			apply(t, s, &events.Event{Type: kind, Node: id, Data: d})
		}
	}
	again := imaged(t, s)
	for n := range 5000 {
		have, _ := s.Node(fleet.NodeID(fmt.Sprint("n", n)))
		if have.Bundle != fmt.Sprint("bundle-", n-n%2) || have.Issued.Issuer != fmt.Sprint("issuer-", n) {
			t.Fatalf("node %d: %+v %+v", n, have, have.Issued)
		}
		if back, _ := again.Node(have.ID); !reflect.DeepEqual(have, back) {
			t.Fatalf("node %d came back as %+v %+v", n, back, back.Issued)
		}
	}
}
