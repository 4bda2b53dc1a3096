package projection_test

import (
	"reflect"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// FuzzApply folds whatever the bytes spell: types with the data of other
// types, no data, nil pointers, ids that are none. It must not panic, and what
// it observes must make sense.
func FuzzApply(f *testing.F) {
	f.Add([]byte{2, 2, 1, 1, 1, 6, 6, 1, 1, 1, 7, 7, 1, 1, 1, 5, 5, 1, 1, 1})
	f.Add([]byte{19, 19, 1, 1, 1, 13, 13, 1, 1, 1, 2, 255, 1, 1, 1, 2, 254, 1, 1, 1})
	f.Add([]byte{17, 17, 0, 1, 0, 17, 17, 1, 1, 2, 18, 18, 0, 1, 0, 0, 0, 0, 1, 1, 16, 16, 0, 3, 1, 17, 254, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := projection.New()
		for ; len(script) >= 5; script = script[5:] {
			apply(t, s, spelled([5]byte(script)))
		}
		seen := make(map[fleet.NodeID]bool)
		for _, n := range s.Observed().Nodes {
			if n.ID == "" || seen[n.ID] || n.CanSign != s.CanSign(n.ID) {
				t.Fatalf("observed %+v", s.Observed().Nodes)
			}
			seen[n.ID] = true
		}
		everything(s, "", "n1", "n2")
	})
}

// spelled makes an event of five bytes: its type, whose data it has, the node,
// and two values for its fields.
func spelled(b [5]byte) *events.Event {
	registry := events.Registry()
	e := &events.Event{
		Type: registry[int(b[0])%len(registry)].Type,
		Node: []fleet.NodeID{"", "n1", "n2"}[b[2]%3],
	}
	payloads := payloads()
	switch {
	case b[1] == 255: // no data
	case b[1] == 254:
		e.Data = (*events.NodeAppeared)(nil)
	case b[1] == 253:
		return nil
	case int(b[1]) >= len(payloads):
		e.Type, e.Data = "no.such-type", payloads[0]
	default:
		e.Data = payloads[b[1]]
		fill(reflect.ValueOf(e.Data).Elem(), b[2], b[3], b[4])
	}
	return e
}

// payloads has one of each payload of the log, in the registry's order.
func payloads() []events.Payload {
	return []events.Payload{
		&events.InventoryApplied{}, &events.TrustPublished{}, &events.NodeAppeared{}, &events.NodeLost{}, &events.NodeLeft{},
		&events.NodeRemoved{}, &events.CredentialIssued{}, &events.CredentialProved{}, &events.CredentialExpired{},
		&events.CredentialRevoked{}, &events.EnforcementEnabled{}, &events.EnforcementDisabled{}, &events.PlanDecided{},
		&events.ActionSucceeded{}, &events.ActionFailed{}, &events.ActionRefused{}, &events.PlanApproved{},
		&events.ControlPaused{}, &events.ControlResumed{}, &events.ActionRequested{}, &events.Heartbeat{}, &events.RotationRequested{}, &events.RetryRequested{},
		&events.NodeBundleReported{}, &events.TrustDelegated{}, &events.TrustRotationRequested{}, &events.TrustRotationHeld{},
		&events.TrustActivated{}, &events.TrustRetired{},
	}
}

// fill gives every field a small value, so that events meet each other.
func fill(v reflect.Value, node, number, text byte) {
	for i := range v.NumField() {
		switch field := v.Field(i); {
		case v.Type().Field(i).Name == "ID":
			field.SetString([]string{"", "n1", "n2"}[node%3])
		case field.Type() == reflect.TypeFor[fleet.ActionType]():
			field.SetString(string(fleet.ActionTypes[int(text)%len(fleet.ActionTypes)]))
		case field.Type() == reflect.TypeFor[fleet.Target]():
			fill(field, node, number, text)
		case field.Type() == reflect.TypeFor[fleet.Scope]():
			field.SetString(string([]fleet.Scope{fleet.ScopeFleet, fleet.ScopeRegion, fleet.ScopeNode}[text%3]))
		case v.Type().Field(i).Name == "Region":
			field.SetString([]string{"", "nyc"}[number%2])
		case field.Kind() == reflect.String:
			field.SetString(string('a' + rune(text%3)))
		case field.Kind() == reflect.Uint64:
			field.SetUint(uint64(number % 4))
		case field.Kind() == reflect.Int:
			field.SetInt(int64(int8(number)))
		}
	}
}
