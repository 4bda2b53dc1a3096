package projection_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/projection"
	"github.com/fleetfold/fleetfold/pkg/snapshot"
)

// imaged is the state put together again from its image.
func imaged(t testing.TB, s *projection.State) *projection.State {
	t.Helper()
	again, err := projection.FromImage(s.Image())
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// stored is the state as a snapshot of it is read back.
func stored(t testing.TB, s *projection.State) *projection.State {
	t.Helper()
	var b bytes.Buffer
	if _, err := snapshot.Encode(&b, s.Still(), snapshot.Mark{Sequence: s.Sequence()}); err != nil {
		t.Fatal(err)
	}
	back, err := snapshot.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	return back.State
}

func hashOf(t testing.TB, s *projection.State) snapshot.Hash {
	t.Helper()
	h, err := snapshot.HashOf(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// The law of snapshots, on random histories and cuts: what is read from a
// snapshot and folded on is the whole fold, in every answer, in its image and
// in its hash. The second cut lets a fold from a snapshot be stored again.
func TestASnapshotAndTheTailAreTheWholeFold(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := history(rt)
		whole, parts := projection.New(), projection.New()
		foldLines(t, whole, all)
		first := rapid.IntRange(0, len(all)).Draw(rt, "first cut")
		second := rapid.IntRange(first, len(all)).Draw(rt, "second cut")
		foldLines(t, parts, all[:first])
		parts = imaged(t, parts)
		foldLines(t, parts, all[first:second])
		if second > 0 {
			parts = stored(t, parts)
		}
		foldLines(t, parts, all[second:])
		if diff := cmp.Diff(whole.Image(), parts.Image()); diff != "" {
			rt.Fatalf("images differ (-whole +parts):\n%s", diff)
		}
		if a, b := everything(whole, lawIDs...), everything(parts, lawIDs...); a != b {
			rt.Fatalf("whole:\n%s\nparts:\n%s", a, b)
		}
		if hashOf(t, whole) != hashOf(t, parts) {
			rt.Fatal("hashes differ")
		}
	})
}

// An image is of one moment: the state it was taken of goes on without it.
func TestAnImageStaysAsItWasTaken(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := projection.New()
		foldLines(t, s, history(rt))
		taken, hash := s.Image(), hashOf(t, s)
		foldLines(t, s, history(rt))
		again, err := projection.FromImage(taken)
		if err != nil {
			rt.Fatal(err)
		}
		if hashOf(t, again) != hash {
			rt.Fatal("the image changed with the state")
		}
	})
}

// kept says of each field of a state where the image has it. A field that is
// added to a state must be added here, and so be thought of.
var kept = map[string]string{
	"State.sequence": "Sequence", "State.ids": "IDs", "State.observed": "below", "State.ledger": "below",
	"State.inventory": "Inventory", "State.trust": "below", "State.posture": "Posture", "State.at": "At", "State.revoked": "below", "State.enforcement": "Enforcement", "State.control": "below",
	"State.safeguards": "Safeguards", "State.policy": "Policy", "State.rotations": "Rotations", "State.last": "below", "State.ignored": "Ignored", "State.unfit": "Unfit", "State.planEnd": "PlanEnd",

	"observed.state": "StrictEnforced; the nodes follow from IDs", "observed.order": "order of IDs", "observed.holes": "none in an image", "observed.ids": "the State's", "observed.asked": "memory only", "observed.slots": "from the order of IDs",
	"observed.mu": "guards only", "observed.living": "from IDs", "observed.present": "from IDs", "observed.signing": "from IDs", "State.recent": "a convenience of whoever follows this State",
	"Ledger.ids": "the State's", "Ledger.flights": "Flights", "Ledger.byID": "from Flights", "Ledger.busy": "from Flights", "Ledger.phases": "from Flights", "Ledger.strangers": "IDs.Attempts", "Ledger.packer": "memory only", "Ledger.shards": "from Flights",
	"control.pauses": "Pauses", "control.approvals": "Approvals", "control.approvedTo": "ApprovedTo",
	"fences.plan": "LastPlan", "fences.enforcement": "LastEnforcement", "fences.inventory": "LastInventory", "fences.trust": "LastTrust", "fences.partition": "Sharing.LastPartition",
	"State.sharing": "below", "sharing.partition": "Sharing.Partition", "sharing.lastPlans": "Sharing.LastPlans", "sharing.shard": "Sharing.PlanShard", "sharing.void": "Sharing.PlanVoid",
	"cell.id": "IDs.ID", "cell.last": "IDs.Last", "cell.epoch": "IDs.Epoch", "cell.began": "IDs.Node", "cell.provedAt": "IDs.Node",
	"cell.held": "IDs.Node", "cell.tries": "IDs.Attempts", "cell.beside": "below", "cell.bundle": "IDs.Node", "cell.apart": "IDs.Node",
	"cell.key": "IDs.Node", "cell.session": "IDs.Node", "cell.has": "IDs.Node",
	"beside.era": "says who may change it", "beside.removedAt": "IDs.RemovedAt", "beside.losses": "IDs.Losses", "beside.earlier": "IDs.Earlier",
	"beside.firstEnd": "follows from earlier", "beside.marks": "follows from earlier", "beside.key": "IDs.Node", "beside.session": "IDs.Node", "beside.bundle": "IDs.Node", "beside.provedAt": "IDs.Node",
	"credential.notBefore": "IDs.Node", "credential.notAfter": "IDs.Node", "credential.at": "IDs.Node", "credential.sequence": "IDs.Node",
	"credential.odd": "IDs.Node", "credential.issuer": "IDs.Node",
	"credential.serial": "IDs.Node", "credential.nonce": "IDs.Node", "credential.own": "IDs.Node",
	"trust.issuers": "Issuers", "trust.roots": "from Issuers", "trust.bundles": "Bundles", "trust.rotations": "IssuerSteps", "trust.changed": "LastBundle",
	"revocations.byEnd": "Revoked", "revocations.last": "LastRevoked", "revocations.dropped": "RevokedDropped",
}

func TestNoFieldOfAStateIsForgotten(t *testing.T) {
	state := reflect.TypeFor[projection.State]()
	parts := []reflect.Type{state}
	for _, name := range []string{"observed", "ledger", "control", "last", "trust", "revoked", "sharing"} {
		f, ok := state.FieldByName(name)
		if !ok {
			t.Fatalf("State has no %s any more", name)
		}
		parts = append(parts, f.Type)
	}
	ids, _ := state.FieldByName("ids")
	pieces, _ := ids.Type.Elem().FieldByName("list")
	cell := pieces.Type.Elem().Elem()
	held, _ := cell.FieldByName("held")
	beside, _ := cell.FieldByName("beside")
	parts = append(parts, cell, held.Type, beside.Type.Elem())
	image := reflect.TypeFor[projection.Image]()
	for _, part := range parts {
		for i := range part.NumField() {
			name := part.Name() + "." + part.Field(i).Name
			where, known := kept[name]
			if !known {
				t.Errorf("%s is not in the image: add it there, to the wire and here, and raise FoldVersion", name)
			}
			if at, _, _ := strings.Cut(where, "."); !strings.Contains(where, " ") && at != "below" {
				if _, ok := image.FieldByName(at); !ok {
					t.Errorf("%s should be in Image.%s, which is not there", name, at)
				}
			}
		}
	}
}

// Each of these is one step from an image that is right, and none can be.
func TestImagesThatNoFoldLeadsTo(t *testing.T) {
	const story = `
		inventory d1
		plan p1
		enroll n1 action=e1
		appeared n1
		appeared n2
		issued n2
		proved n2
		lost n2
		paused n1
		paused region=r1
		approved a1 basis=3
		appeared n3
		removed n3
		enroll n9 action=e9
		appeared n1 epoch=7
		root r1
		intermediate i1 region=nyc of=r1 ends=900
		root r2
		request activate
		enabled
		issued n2 serial=a2 ends=800
		proved n2 serial=a2
		issued n2 serial=a3 ends=900
		proved n2 serial=a3
		revoked n2 serial=a3
		issued n2 serial=a4 ends=700
		revoked n2 serial=a4
		issued n2 serial=a5 ends=850
		proved n2 serial=a5`
	for what, spoil := range map[string]func(*projection.Image){
		"an id twice":                      func(i *projection.Image) { i.IDs = slices.Insert(i.IDs, 0, i.IDs[0]) },
		"an id that is not observed first": func(i *projection.Image) { slices.Reverse(i.IDs) },
		"a node of another name":           func(i *projection.Image) { i.IDs[0].Node.ID = "other" },
		"a node without a name":            func(i *projection.Image) { i.IDs[0].ID, i.IDs[0].Node.ID, i.IDs[0].Attempts = "", "", nil },
		"a node of another epoch":          func(i *projection.Image) { i.IDs[0].Node.Epoch++ },
		"an epoch of nothing":              func(i *projection.Image) { i.IDs[0].Epoch = 0 },
		"a life that is still to begin":    func(i *projection.Image) { i.IDs[0].Node.Began = 99 },
		"a fact that is still to come":     func(i *projection.Image) { i.IDs[0].Last = 99 },
		"a lost node that was never lost":  func(i *projection.Image) { i.IDs[1].Losses = nil },
		"a lost node that is present":      func(i *projection.Image) { i.IDs[1].Node.Present = true },
		"losses of nobody":                 func(i *projection.Image) { i.IDs[2].Losses = []time.Time{midnight} },
		"too many losses":                  func(i *projection.Image) { i.IDs[1].Losses = make([]time.Time, 17) },
		"attempts of an unknown type":      func(i *projection.Image) { i.IDs[0].Attempts[0].Type = "Dance" },
		"attempts of the fleet at a node":  func(i *projection.Image) { i.IDs[0].Attempts[0].Type = fleet.EnableStrictEnforcement },
		"attempts twice":                   func(i *projection.Image) { i.IDs[0].Attempts = append(i.IDs[0].Attempts, i.IDs[0].Attempts[0]) },
		"a flight twice":                   func(i *projection.Image) { i.Flights = append(i.Flights, i.Flights[0]) },
		"two flights of one id":            func(i *projection.Image) { i.Flights[1].ID = i.Flights[0].ID },
		"a flight that is still to come":   func(i *projection.Image) { i.Flights[1].Sequence = 99 },
		"a flight of no type":              func(i *projection.Image) { i.Flights[0].Action.Type = "" },
		"a pause of nothing":               func(i *projection.Image) { i.Pauses[0].Scope = "moon" },
		"a pause twice":                    func(i *projection.Image) { i.Pauses = append(i.Pauses, i.Pauses[1]) },
		"an approval twice":                func(i *projection.Image) { i.Approvals = append(i.Approvals, i.Approvals[0]) },
		"approved to elsewhere":            func(i *projection.Image) { i.ApprovedTo++ },
		"a plan that is still to come":     func(i *projection.Image) { i.LastPlan = 99 },
		"an inventory to come":             func(i *projection.Image) { i.Inventory.Sequence = 99 },
		"an ignored count of zero":         func(i *projection.Image) { i.Ignored[0].Count = 0 },
		"ignored twice":                    func(i *projection.Image) { i.Ignored = append(i.Ignored, i.Ignored[0]) },
		"an issuer that is still to come":  func(i *projection.Image) { i.Issuers[2].Published = 99 },
		"issuers out of order":             func(i *projection.Image) { i.Issuers[0].Published = 90 },
		"two roots that issue":             func(i *projection.Image) { i.Issuers[2].Active = true },
		"an intermediate of no root":       func(i *projection.Image) { i.Issuers[1].Parent = "r9" },
		"a request that is still to come":  func(i *projection.Image) { i.IssuerSteps[0].Sequence = 99 },
		"a posture that is not enforced":   func(i *projection.Image) { i.Posture.Strict = false },
		"a bundle that is still to come":   func(i *projection.Image) { i.LastBundle = 99 },
		"revoked out of order":             func(i *projection.Image) { slices.Reverse(i.Revoked) },
		"fewer than none dropped":          func(i *projection.Image) { i.RevokedDropped = -1 },
		"certificates of nobody":           func(i *projection.Image) { i.IDs[len(i.IDs)-1].Earlier = i.IDs[1].Earlier },
		"fewer than none unfit":            func(i *projection.Image) { i.Unfit = -1 },
	} {
		img := after(t, story).Image()
		if _, err := projection.FromImage(img); err != nil {
			t.Fatalf("the story itself: %v", err)
		}
		img = after(t, story).Image()
		spoil(&img)
		if _, err := projection.FromImage(img); err == nil {
			t.Errorf("%s: it was taken for an image", what)
		}
	}
}

// Times of whatever zone, and times read from a clock, are moments only: else
// two folds of one log could differ by the machine they run on.
func TestAStateKeepsMomentsAndNotZones(t *testing.T) {
	at := func(zone *time.Location) snapshot.Hash {
		s := projection.New()
		for _, e := range []*events.Event{
			parseLine("appeared n1").event(),
			{Type: events.TypeCredentialIssued, Node: "n1", Data: &events.CredentialIssued{
				Epoch: 1, Serial: "a1", Nonce: "x", KeyFingerprint: "k1", NotBefore: midnight.In(zone), NotAfter: midnight.In(zone),
			}},
			parseLine("lost n1").event(), parseLine("paused n1").event(),
		} {
			if _, err := s.Apply(s.Sequence()+1, midnight.In(zone), e); err != nil {
				t.Fatal(err)
			}
		}
		if back := imaged(t, s); !reflect.DeepEqual(back.Image(), s.Image()) {
			t.Error("the image does not come back")
		}
		return hashOf(t, s)
	}
	if at(time.UTC) != at(time.FixedZone("", 7200)) {
		t.Error("the hash depends on the zone")
	}
}
