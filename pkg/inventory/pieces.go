package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"gopkg.in/yaml.v3"
)

const (
	// MaxWholeBytes is the largest file that is read as a whole, which takes some
	// forty times as much memory. What is read piece by piece may be larger.
	MaxWholeBytes = 64 << 20
	// maxPiece is the largest item that is read alone. No item of that size is
	// nested deeply enough to be refused for that in one place and not in the other.
	maxPiece = 8 << 10
)

// parsePieces reads a file piece by piece. ok is false where the file is unusual:
// then nothing is known yet but why.
func parsePieces(data []byte, maxWhole int) (inv *fleet.Inventory, rep Report, why unusual, ok bool) {
	if p, bad := badText(data); bad {
		return nil, Report{Errors: []Problem{p}}, unusual{}, true
	}
	f, why := split(data)
	if f == nil {
		return nil, rep, why, false
	}
	if len(f.text) > maxWhole {
		return nil, rep, unusual{1, fmt.Sprintf("more than %d MiB besides the nodes", maxWhole>>20)}, false
	}
	root, problems := readDocument(f.text)
	if root == nil || len(problems) > 0 {
		line := min(max(problems[0].Line, 1), len(f.lines))
		return nil, rep, unusual{int(f.lines[line-1]), problems[0].Message}, false
	}
	placed := f.place(root)
	if placed == nil || !f.restore(root) {
		return nil, rep, unusual{1, "a list under the key nodes that is not the one of a region, or an anchor"}, false
	}
	w := newWalk(data)
	w.blocks, w.firstID = placed, make(map[fleet.NodeID]spot, f.items)
	inv = w.inventory(w.child(value{line: 1}, root, ""))
	if w.gaveUp.what != "" {
		return nil, rep, w.gaveUp, false
	}
	return inv, w.report, unusual{}, true
}

// pieces reads the items of a block.
func (w *walk) pieces(b *block, path string) []fleet.Node {
	if w.gaveUp.what != "" {
		return nil
	}
	nodes := make([]fleet.Node, 0, b.items)
	for r := b.reader(); r.read(); {
		w.at.node = len(nodes)
		if n, ok := w.plainNode(r.item, r.line, b.indent); ok {
			nodes = append(nodes, n)
			continue
		}
		item, why := decodePiece(r.item, r.line)
		if why.what != "" {
			w.gaveUp = why
			return nodes
		}
		nodes = append(nodes, w.node(w.child(value{path: path}, item, path+"["+strconv.Itoa(w.at.node)+"]")))
	}
	return nodes
}

// itemReader goes through a block item by item.
type itemReader struct {
	lines  lineReader
	indent int
	more   bool // lines stands on the first line of the next item
	item   []byte
	line   int // of the file, of the item's first
}

func (b *block) reader() *itemReader {
	r := &itemReader{lines: lineReader{text: b.text, number: b.line - 1}, indent: b.indent}
	r.more = r.lines.read()
	return r
}

func (r *itemReader) read() bool {
	if !r.more {
		return false
	}
	from := r.lines.next - len(r.lines.line)
	r.line = r.lines.number
	end := r.lines.next
	for r.more = r.lines.read(); r.more && (r.lines.blank || r.lines.indent > r.indent); r.more = r.lines.read() {
		end = r.lines.next
	}
	r.item = r.lines.text[from:end]
	return true
}

// decodePiece is the tree of one item, with the lines of the file. What alone is
// no whole item, or may not mean the same alone, is unusual.
func decodePiece(text []byte, line int) (*yaml.Node, unusual) {
	if len(text) > maxPiece {
		return nil, unusual{line, fmt.Sprintf("a node of more than %d KiB", maxPiece>>10)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, none yaml.Node
	if err := decode(dec, &doc); err != nil {
		p := syntaxProblem(text, err)
		return nil, unusual{p.Line + line - 1, p.Message}
	}
	if err := decode(dec, &none); !errors.Is(err, io.EOF) || len(doc.Content) != 1 {
		return nil, unusual{line, "more than a node"}
	}
	list := doc.Content[0]
	if list.Kind != yaml.SequenceNode || len(list.Content) != 1 || !alone(list, line-1) {
		return nil, unusual{line, "an anchor or an alias"}
	}
	return list.Content[0], unusual{}
}

// alone moves a tree down by lines. It is false for one that reaches elsewhere.
func alone(n *yaml.Node, lines int) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return false
	}
	n.Line += lines
	for _, c := range n.Content {
		if !alone(c, lines) {
			return false
		}
	}
	return true
}
