package authority_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fleetfold/fleetfold/pkg/authority"
	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/fleet"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

func TestEachRegionWithAnIntermediateIsIssuedByIt(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		i := o.issuers("ca")
		a, c := o.issue(i, inv, "a"), o.issue(i, inv, "c")
		if err := errors.Join(o.verify(a, "a", "nyc"), o.verify(c, "c", "oslo")); err != nil {
			t.Error(err)
		}
		if err := o.verify(a, "a", "oslo"); fleet.ReasonOf(err) != identity.IssuerRegion {
			t.Errorf("the intermediate of nyc for oslo: %v", err)
		}
		if c.Issuer != o.root().Fingerprint || a.Issuer == c.Issuer {
			t.Errorf("issuers are %s and %s", a.Issuer, c.Issuer)
		}
		if o.types() != "published delegated" {
			t.Errorf("log: %s", o.types())
		}
		for path, mode := range map[string]os.FileMode{"ca/ca.key": 0o600, "ca/regions/nyc/nyc%2Fca/ca.key": 0o600, "ca/regions/nyc/nyc%2Fca": 0o700, "ca": 0o700} {
			if info, err := os.Stat(filepath.Join(o.dir, path)); err != nil || info.Mode().Perm() != mode {
				t.Errorf("%s: %v %v", path, info, err)
			}
		}
		// Another start opens what is there.
		if again := o.issue(o.issuers("ca"), inv, "b"); again.Issuer != a.Issuer || o.types() != "published delegated" {
			t.Errorf("after a restart the issuer is %s, the log %s", again.Issuer, o.types())
		}
	})
}

func TestNamesOfIssuersNeverLeaveTheFolder(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want(func(inv *fleet.Inventory) {
			inv.RootCA, inv.Regions[0].Name, inv.Regions[0].IntermediateCA = "../../root", "../nyc", strings.Repeat("../", 100)
		})
		o.issue(o.issuers("ca"), inv, "a")
		found := 0
		o.must(filepath.WalkDir(o.dir, func(path string, d os.DirEntry, err error) error {
			if d.Name() == "ca.key" {
				found++
				if rel, err := filepath.Rel(filepath.Join(o.dir, "ca", "roots"), path); err != nil || strings.HasPrefix(rel, "..") {
					t.Errorf("a key lies in %s", path)
				}
			}
			return err
		}))
		if found != 2 {
			t.Errorf("%d keys", found)
		}
	})
}

// A folder may have a name that would be a pattern.
func TestIssuersAreFoundWhateverTheirFolderIsCalled(t *testing.T) {
	for _, folder := range []string{"ca[1]", "c*", "ca?", `c\a`, "[", "ca {a,b}"} {
		story(t, func(o *office) {
			inv := o.want()
			o.must(o.issuers(folder).Prepare(o.ctx))
			again := o.issuers(folder)
			for _, id := range []fleet.NodeID{"a", "c"} {
				if _, err := again.For(o.ctx, inv, inv.Find(id)); err != nil {
					t.Errorf("%s: %v", folder, err)
				}
			}
		})
	}
}

func TestAFolderWithoutTheKeyIssuesNothing(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		first := o.issuers("ca")
		o.must(first.Prepare(o.ctx))
		other := o.issuers("other")
		if err := other.Prepare(o.ctx); err != nil {
			t.Errorf("an executor that cannot issue does not start: %v", err)
		}
		if _, err := other.For(o.ctx, inv, inv.Find("c")); !errors.Is(err, authority.ErrNoKey) || !strings.Contains(err.Error(), o.root().Fingerprint) {
			t.Errorf("issuing without the key: %v", err)
		}
		if !strings.Contains(o.warnings.String(), "this executor cannot issue credentials") {
			t.Errorf("nobody was warned: %s", o.warnings.String())
		}
		// Those that share the folder share the issuers.
		o.issue(o.issuers("ca"), inv, "a")
		if o.types() != "published delegated" {
			t.Errorf("log: %s", o.types())
		}
	})
}

// Two executors with folders of their own start at once: one root is published,
// never two that issue.
func TestOfTwoFoldersOneMakesTheRoot(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		results := make(chan error, 2)
		for _, dir := range []string{"one", "two"} {
			i := o.issuers(dir)
			go func() {
				_, err := i.For(o.ctx, inv, inv.Find("c"))
				results <- err
			}()
		}
		lost := 0
		for range 2 {
			if err := <-results; errors.Is(err, authority.ErrNoKey) {
				lost++
			} else if err != nil {
				t.Error(err)
			}
		}
		if lost != 1 || o.types() != "published" {
			t.Errorf("%d lost, log: %s", lost, o.types())
		}
	})
}

func TestAnIssuerThatEndsSoonIsToldOfOnce(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want(func(inv *fleet.Inventory) { inv.Regions[0].Nodes[0].CredTTL = 80 * 24 * time.Hour })
		i := o.issuers("ca")
		for range 2 {
			o.issue(i, inv, "a")
		}
		if n := strings.Count(o.warnings.String(), "ends in less than six lives"); n != 1 {
			t.Errorf("told %d times: %s", n, o.warnings.String())
		}
		inv.Regions[0].Nodes[0].CredTTL = 2 * 365 * 24 * time.Hour
		ca, err := i.For(o.ctx, inv, inv.Find("a"))
		o.must(err)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		o.must(err)
		pem, err := identity.NewCSR(key)
		o.must(err)
		csr, err := identity.ParseCSR(pem)
		o.must(err)
		if _, err := ca.Issue(csr, "a", inv.Find("a").CredTTL, time.Now()); fleet.ReasonOf(err) != identity.TTLOutlivesIssuer {
			t.Errorf("a credential that outlives its issuer: %v", err)
		}
	})
}

// A key that is kept elsewhere outlives the folder: the rest is on the log.
func TestARootThatIsSignedForElsewhereNeedsNoFolder(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		o.must(err)
		with := func(c *authority.Config) { c.Signers = []crypto.Signer{key} }
		o.issue(o.issuers("ca", with), inv, "c")
		first := o.root().Fingerprint
		for range 2 {
			if got := o.issue(o.issuers("elsewhere", with), inv, "c"); got.Issuer != first {
				t.Errorf("issued by %s, not by %s", got.Issuer, first)
			}
		}
		if _, err := o.issuers("third").For(o.ctx, inv, inv.Find("c")); !errors.Is(err, authority.ErrNoKey) {
			t.Errorf("issuing without the key: %v", err)
		}
	})
}

// The root's key need not be in a file; while it is rotated there are two.
func TestARootMayBeSignedForElsewhere(t *testing.T) {
	story(t, func(o *office) {
		inv := o.want()
		var keys []crypto.Signer
		for range 2 {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			o.must(err)
			keys = append(keys, key)
		}
		with := func(n int) func(*authority.Config) { return func(c *authority.Config) { c.Signers = keys[:n] } }
		i := o.issuers("ca", with(1))
		o.issue(i, inv, "c")
		if _, err := os.Stat(filepath.Join(o.dir, "ca", "ca.key")); !os.IsNotExist(err) {
			t.Errorf("a key file was made: %v", err)
		}
		o.must(o.request(inv, events.RotationPrepare, ""))
		if waits, err := i.Rotate(o.ctx); err != nil || !waits || o.pending()[0].Held != authority.ReasonUnusable {
			t.Errorf("prepared without another key: %v, %v", waits, err)
		}
		i = o.issuers("ca", with(2))
		if waits, err := i.Rotate(o.ctx); err != nil || waits {
			t.Fatalf("not prepared: %v, %v", waits, err)
		}
		for _, id := range []fleet.NodeID{"a", "b", "c"} {
			o.issue(i, inv, id)
			o.report(id)
		}
		o.must(o.request(inv, events.RotationActivate, ""))
		_, err := i.Rotate(o.ctx)
		o.must(err)
		want, err := identity.Fingerprint(keys[1].Public())
		o.must(err)
		if got := o.issue(i, inv, "c"); got.Issuer != want {
			t.Errorf("issued by %s, not by the new key %s", got.Issuer, want)
		}
	})
}
