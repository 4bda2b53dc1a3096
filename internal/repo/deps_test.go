package repo

import (
	"testing"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// floors are the releases of the security-relevant libraries that this project
// was reviewed with. An older one would take back fixes made since.
var floors = []struct{ module, version string }{
	{"github.com/nats-io/nats-server/v2", "v2.15.1"},
	{"github.com/nats-io/nkeys", "v0.4.17"},
	{"github.com/nats-io/jwt/v2", "v2.8.3"},
}

func TestLibrariesAreNotTooOld(t *testing.T) {
	mod, err := modfile.Parse("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := make(map[string]string)
	for _, r := range mod.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, f := range floors {
		have, required := versions[f.module]
		if !required {
			t.Errorf("go.mod does not require %s: its version must be stated, %s or newer", f.module, f.version)
		} else if semver.Compare(have, f.version) < 0 {
			t.Errorf("go.mod has %s %s, want %s or newer", f.module, have, f.version)
		}
	}
	if len(mod.Replace) > 0 {
		t.Errorf("go.mod replaces %s: then 'go install %s/cmd/...@latest' does not work", mod.Replace[0].Old.Path, module)
	}
}
