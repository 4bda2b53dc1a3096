package authority_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// run lets an executor take steps until the story ends.
func (o *office) run(i *authority.Issuers) {
	o.running.Go(func() {
		if err := i.Run(o.ctx, o.view); err != nil && o.ctx.Err() == nil {
			o.Error(err)
		}
	})
	synctest.Wait()
}

// later lets fake time pass.
func (o *office) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (o *office) status(inv *fleet.Inventory) (st authority.Status) {
	o.view.Read(func(s *projection.State) { st = authority.StatusOf(s, inv) })
	return st
}

func TestARootFollowsOnAnotherWithoutAGap(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		i := o.issuers("ca")
		o.run(i)
		all := []fleet.NodeID{"a", "b", "c"}
		old := map[fleet.NodeID]*identity.Issued{}
		for _, id := range all {
			old[id] = o.issue(i, inv, id)
			o.report(id)
		}
		before := o.root().Fingerprint
		for _, step := range []events.RotationStep{events.RotationActivate, events.RotationRetire} {
			if err := o.request(inv, step, ""); !errors.Is(err, authority.ErrNotPossible) {
				t.Errorf("%s at first: %v", step, err)
			}
		}
		o.must(o.request(inv, events.RotationPrepare, ""))
		o.later(time.Second)
		if got := o.issue(i, inv, "c"); got.Issuer != before {
			t.Errorf("a prepared root issues already")
		}

		// One after the other learns of the new root; until the last has, nothing is activated.
		o.must(o.request(inv, events.RotationActivate, ""))
		for n, id := range all {
			o.later(time.Second)
			p := o.status(inv).Pending
			if len(p) != 1 || !slices.Equal(p[0].Nodes, all[n:]) || p[0].Reason != authority.ReasonBundle || o.root().Fingerprint != before {
				t.Fatalf("before %s has reported: %+v", id, p)
			}
			o.report(id)
		}
		o.later(time.Second)
		if o.root().Fingerprint == before || len(o.pending()) != 0 {
			t.Fatalf("not activated: %+v", o.status(inv))
		}
		for _, id := range all { // both are believed
			o.must(o.verify(old[id], id, inv.RegionOf(id).Name))
		}

		// Each gets a new credential; until the last has, the old root stays.
		o.must(o.request(inv, events.RotationRetire, ""))
		fresh := map[fleet.NodeID]*identity.Issued{}
		for n, id := range all {
			o.later(time.Second)
			if p := o.status(inv).Pending; len(p) != 1 || !slices.Equal(p[0].Nodes, all[n:]) || p[0].Reason != authority.ReasonInUse {
				t.Fatalf("before %s has a new credential: %+v", id, p)
			}
			fresh[id] = o.issue(i, inv, id)
		}
		o.later(time.Second)
		for _, id := range all {
			o.must(o.verify(fresh[id], id, inv.RegionOf(id).Name))
			if err := o.verify(old[id], id, ""); fleet.ReasonOf(err) != identity.ChainUntrusted {
				t.Errorf("%s by the retired root: %v", id, err)
			}
		}
		const want = "published delegated rotation-requested published rotation-requested rotation-held activated delegated " +
			"rotation-requested rotation-held retired"
		if o.types() != want {
			t.Errorf("log:  %s\nwant: %s", o.types(), want)
		}
		// The next one goes by the same way, and never takes an old key up again.
		o.must(o.request(inv, events.RotationPrepare, ""))
		o.later(time.Second)
		st := o.status(inv)
		if last := st.Issuers[len(st.Issuers)-1]; last.Stage != authority.StagePrepared || last.Fingerprint == before {
			t.Errorf("prepared again: %+v", st.Issuers)
		}
	})
}

func TestAnIntermediateFollowsOnAnother(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		i := o.issuers("ca")
		o.run(i)
		old := o.issue(i, inv, "a")
		for _, region := range []string{"oslo", "nowhere"} {
			if err := o.request(inv, events.RotationPrepare, region); !errors.Is(err, authority.ErrNotPossible) {
				t.Errorf("an intermediate for %s: %v", region, err)
			}
		}
		o.must(o.request(inv, events.RotationPrepare, "nyc"))
		o.later(time.Second)
		o.must(o.request(inv, events.RotationActivate, "nyc"))
		o.issue(i, inv, "b")
		o.issue(i, inv, "c")
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.report(id)
		}
		o.later(time.Second)
		fresh := o.issue(i, inv, "a")
		if fresh.Issuer == old.Issuer || fleet.ReasonOf(o.verify(fresh, "a", "nyc")) != "" || o.root().Fingerprint == fresh.Issuer {
			t.Errorf("issued by %s, before by %s", fresh.Issuer, old.Issuer)
		}
		o.must(o.request(inv, events.RotationRetire, "nyc"))
		o.later(time.Second)
		if p := o.status(inv).Pending; len(p) != 1 || !slices.Equal(p[0].Nodes, []fleet.NodeID{"b"}) {
			t.Fatalf("waits for %+v", p)
		}
		o.issue(i, inv, "b")
		o.later(time.Second)
		o.view.Read(func(s *projection.State) {
			revoked := s.Revoked()
			if len(revoked) != 1 || revoked[0].Issuer != o.root().Fingerprint || s.KnowsIssuer(old.Issuer) {
				t.Errorf("revoked: %+v", revoked)
			}
		})
	})
}

// A node that is added, or loses its bundle, between the look at the gate and
// the fact must not be left out: the fact is conditional on the whole log.
func TestTheGateHoldsUpToTheFact(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		i := o.issuers("ca")
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.issue(i, inv, id)
		}
		o.must(o.request(inv, events.RotationPrepare, ""))
		_, err := i.Rotate(o.ctx)
		o.must(err)
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.report(id)
		}
		o.must(o.request(inv, events.RotationActivate, ""))
		before := o.root().Fingerprint
		// The log moves under an executor that has looked at the gate.
		racing := o.issuers("ca", func(c *authority.Config) {
			c.Log = meanwhile{c.Log, func() {
				o.append(events.TypeNodeBundleReported, "b", &events.NodeBundleReported{Epoch: 1})
			}}
		})
		if _, err := racing.Rotate(o.ctx); err != nil {
			t.Fatal(err)
		}
		if o.root().Fingerprint != before {
			t.Error("activated although b had lost its bundle")
		}
		if waits, err := i.Rotate(o.ctx); err != nil || !waits {
			t.Errorf("looking again: %v, %v", waits, err)
		}
		o.report("b")
		if _, err := i.Rotate(o.ctx); err != nil || o.root().Fingerprint == before {
			t.Errorf("not activated: %v", err)
		}
	})
}

// Many executors of one folder take each step once, and copies are told of.
func TestSeveralExecutorsTakeEachStepOnce(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		one := o.issuers("ca")
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.issue(one, inv, id)
		}
		o.must(os.CopyFS(filepath.Join(o.dir, "copy"), os.DirFS(filepath.Join(o.dir, "ca"))))
		o.must(chmodKeys(filepath.Join(o.dir, "copy")))
		o.run(one)
		o.run(o.issuers("ca"))
		o.must(o.request(inv, events.RotationPrepare, ""))
		o.later(time.Second)
		if strings.Count(o.types(), " published") != 1 {
			t.Errorf("log: %s", o.types())
		}
		copied := o.issuers("copy")
		o.issue(copied, inv, "c") // it still has the root that issues
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.report(id)
		}
		o.must(o.request(inv, events.RotationActivate, ""))
		o.later(time.Second)
		if _, err := copied.For(o.ctx, inv, inv.Find("c")); !errors.Is(err, authority.ErrNoKey) {
			t.Errorf("a copy of before the rotation issues: %v", err)
		}
		if n := strings.Count(o.types(), "activated"); n != 1 {
			t.Errorf("log: %s", o.types())
		}
	})
}

func chmodKeys(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
}
