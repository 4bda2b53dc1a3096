package inventory

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Parse turns the bytes of an inventory file into an inventory. The inventory
// is nil exactly when the report has errors; the report may hold warnings
// either way.
func Parse(data []byte) (*fleet.Inventory, Report) {
	root, problems := readDocument(data)
	w := &walk{
		report:    Report{Errors: problems},
		budget:    aliasBudget(data),
		firstID:   make(map[fleet.NodeID]value),
		firstName: make(map[string]int),
	}
	var inv *fleet.Inventory
	if root != nil {
		inv = w.inventory(w.child(value{line: 1}, root, ""))
	}
	if !w.report.Valid() {
		inv = nil
	}
	return inv, w.report.sorted()
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
