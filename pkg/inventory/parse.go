package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Parse turns the bytes of an inventory file into an inventory. The inventory
// is nil exactly when the report has errors; the report may hold warnings
// either way.
//
// A file whose nodes are lists with a line for each hyphen is read node by node,
// and takes no memory to speak of besides the inventory. Any other is read as a
// whole, with the same result, and may have at most MaxWholeBytes.
func Parse(data []byte) (*fleet.Inventory, Report) { return parse(data, MaxWholeBytes) }

func parse(data []byte, maxWhole int) (*fleet.Inventory, Report) {
	inv, rep, why, ok := parsePieces(data, maxWhole)
	switch {
	case ok:
	case len(data) > maxWhole:
		rep.Errors = []Problem{{Tag: TagParseError, Line: why.line, Message: fmt.Sprintf(
			"%s; a file of more than %d MiB is read node by node: each needs a hyphen at the beginning of a line, and there may be no anchors",
			why.what, maxWhole>>20)}}
	default:
		inv, rep = parseWhole(data)
	}
	if !rep.Valid() {
		inv = nil
	}
	return inv, rep.sorted()
}

// parseWhole has the YAML library make a tree of all.
func parseWhole(data []byte) (inv *fleet.Inventory, rep Report) {
	root, problems := readDocument(data)
	w := newWalk(data)
	w.report.Errors = problems
	if root != nil {
		inv = w.inventory(w.child(value{line: 1}, root, ""))
	}
	return inv, w.report
}

func newWalk(data []byte) *walk {
	return &walk{
		budget:    aliasBudget(data),
		firstID:   make(map[fleet.NodeID]spot),
		firstName: make(map[string]int),
		durations: make(map[string]time.Duration),
		texts:     make(map[string]string),
	}
}

// aliasBudget lets a file say "the same roles for each node" as often as it
// likes, yet keeps a small file from standing for a huge one.
func aliasBudget(data []byte) int { return 10_000 + len(data) }

// Digest names the exact bytes of a file: "sha256:" and 64 hexadecimal digits.
// A comment or a blank changes it.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Read calls read once and parses what it returns. The bytes come back as well,
// for a digest. When read fails, its error becomes the report's only problem.
func Read(read func() ([]byte, error)) (data []byte, inv *fleet.Inventory, rep Report) {
	data, err := read()
	if err != nil {
		rep.Errors = []Problem{{Tag: TagIOError, Message: fmt.Sprintf("read inventory: %v", err)}}
		return nil, nil, rep
	}
	inv, rep = Parse(data)
	return data, inv, rep
}
