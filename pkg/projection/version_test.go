package projection_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Snapshots of a fold with other rules must not be taken for one's own. So the
// version, the hash of one history under it, and the types of events that it
// knows are written down together: whoever changes one of them is asked here
// for a new version.
func TestTheFoldIsTheOneItsVersionNames(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "fold", "history.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var have strings.Builder
	fmt.Fprintf(&have, "version %d\n%s\n", projection.FoldVersion, hashOf(t, after(t, string(text))))
	for _, d := range events.Registry() {
		fmt.Fprintln(&have, d.Type)
	}
	written, err := os.ReadFile(filepath.Join("testdata", "fold", "version.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if have.String() != string(written) {
		t.Errorf("the fold has changed: raise FoldVersion, and write this to testdata/fold/version.txt:\n%s", have.String())
	}
}
