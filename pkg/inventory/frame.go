package inventory

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// A large inventory is nearly all nodes. So its text is taken apart by lines: the
// items of each region's nodes are blocks, read piece by piece, and what is left
// is the frame, in which each list is empty. A file that cannot be taken apart
// without doubt is read as a whole.

// frame is a file without the items of its blocks.
type frame struct {
	text []byte
	// lines are the numbers in the file of the frame's lines.
	lines []int32
	// blocks by the line of their key in the frame.
	blocks map[int]*block
	// items is how many all blocks hold.
	items int
}

// block is a block list of nodes.
type block struct {
	text   []byte // whole lines, the first of which begins an item
	line   int    // of the file, in which it begins
	indent int    // columns before the hyphen of each item
	items  int
}

// unusual is what keeps a file from being read piece by piece.
type unusual struct {
	line int
	what string
}

// lineReader goes through a text line by line.
type lineReader struct {
	text []byte
	next int // where the next line begins
	line []byte
	// number of line in the file, and indent, the spaces before its first sign;
	// blank: it has none, or a comment only.
	number, indent int
	blank          bool
}

// read is false at the end.
func (r *lineReader) read() bool {
	if r.next >= len(r.text) {
		r.line = nil
		return false
	}
	r.line = r.text[r.next:]
	if end := bytes.IndexByte(r.line, '\n'); end >= 0 {
		r.line = r.line[:end+1]
	}
	r.next += len(r.line)
	r.number++
	r.indent = 0
	for r.indent < len(r.line) && r.line[r.indent] == ' ' {
		r.indent++
	}
	first := r.first()
	r.blank = first == '\n' || first == '#' || first == 0
	return true
}

// first is the first sign of the line that is no space; 0: the file ends here.
func (r *lineReader) first() byte {
	if r.indent == len(r.line) {
		return 0
	}
	return r.line[r.indent]
}

// item says that a hyphen and a blank stand first.
func (r *lineReader) item() bool {
	rest := r.line[r.indent:]
	return len(rest) > 0 && rest[0] == '-' && (len(rest) == 1 || rest[1] == ' ' || rest[1] == '\n')
}

// split takes a file apart; nil: it is unusual.
func split(data []byte) (*frame, unusual) {
	if u, is := strange(data); is {
		return nil, u
	}
	f := &frame{blocks: make(map[int]*block)}
	for r := (&lineReader{text: data}); r.read(); {
		if r.first() == '%' {
			return nil, unusual{r.number, "a directive"}
		}
		f.keep(r)
		if key := nodesKey(r); key >= 0 {
			if u, is := f.cut(r, key); is {
				return nil, u
			}
		}
	}
	if len(f.blocks) == 0 {
		return nil, unusual{1, "no region whose nodes are a list with a line for each hyphen"}
	}
	return f, unusual{}
}

// strange looks for signs that end a line for YAML and not for us, or that count
// as no sign at all.
func strange(data []byte) (unusual, bool) {
	for _, c := range []struct{ sign, what string }{
		{"\r", "a carriage return"}, {"\u0085", "U+0085"}, {"\u2028", "U+2028"}, {"\u2029", "U+2029"}, {"\ufeff", "a byte order mark"},
	} {
		if at := bytes.Index(data, []byte(c.sign)); at >= 0 {
			return unusual{bytes.Count(data[:at], []byte("\n")) + 1, c.what}, true
		}
	}
	return unusual{}, false
}

func (f *frame) keep(r *lineReader) {
	f.text = append(f.text, r.line...)
	f.lines = append(f.lines, int32(r.number))
}

// nodesKey is the column of the key nodes in a line that holds nothing else but
// the hyphen of the region before it; -1 for any other line.
func nodesKey(r *lineReader) int {
	column := r.indent
	rest := r.line[column:]
	if r.item() {
		inner := bytes.TrimLeft(rest[1:], " ")
		column, rest = column+len(rest)-len(inner), inner
	}
	rest, found := bytes.CutPrefix(rest, []byte("nodes:"))
	if !found || len(rest) > 0 && rest[0] != ' ' && rest[0] != '\n' {
		return -1
	}
	if rest = bytes.TrimLeft(rest, " "); len(rest) > 0 && rest[0] != '\n' && rest[0] != '#' {
		return -1
	}
	return column
}

// cut takes the items behind a key at that column out of the frame. Where none
// follow, the value is of another kind, and stays.
func (f *frame) cut(r *lineReader, key int) (unusual, bool) {
	keyLine := len(f.lines)
	ahead := *r
	var skipped []lineReader
	for more := ahead.read(); more && ahead.blank; more = ahead.read() {
		skipped = append(skipped, ahead)
	}
	if ahead.line == nil || ahead.indent < max(key, 1) || !ahead.item() {
		return unusual{}, false
	}
	for i := range skipped {
		f.keep(&skipped[i])
	}
	b := &block{line: ahead.number, indent: ahead.indent}
	from := ahead.next - len(ahead.line)
	for more := true; more; more = ahead.read() {
		switch {
		case ahead.first() == '\t':
			return unusual{ahead.number, "a tab at the beginning of a line"}, true
		case ahead.blank || ahead.indent > b.indent:
		case ahead.indent == b.indent && ahead.item():
			b.items++
		case ahead.indent > key:
			return unusual{ahead.number, "an indentation between that of a list and that of its key"}, true
		default:
			more = false
		}
		if !more {
			break
		}
		*r = ahead
	}
	b.text = r.text[from:r.next]
	f.blocks[keyLine] = b
	f.items += b.items
	return unusual{}, false
}

// place finds the blocks' places in the tree of the frame, by the empty value that
// stands there. It is false unless each block is the list of one region's nodes,
// in a tree in which everything above it is laid out by lines as it is.
func (f *frame) place(root *yaml.Node) map[*yaml.Node]*block {
	placed := make(map[*yaml.Node]*block)
	regions := blockValue(root, "regions")
	if regions == nil || regions.Kind != yaml.SequenceNode || regions.Style&yaml.FlowStyle != 0 {
		return nil
	}
	for _, region := range regions.Content {
		key, value := entryOf(region, "nodes")
		if key == nil || f.blocks[key.Line] == nil || key.Style != 0 {
			continue
		}
		if value.Kind == yaml.ScalarNode && value.Value == "" && value.Style == 0 && isNull(value) {
			placed[value] = f.blocks[key.Line]
		}
	}
	if len(placed) != len(f.blocks) {
		return nil
	}
	return placed
}

func blockValue(mapping *yaml.Node, name string) *yaml.Node {
	_, value := entryOf(mapping, name)
	return value
}

// entryOf is the first entry of that name in a mapping that is laid out by lines.
func entryOf(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	if mapping.Kind != yaml.MappingNode || mapping.Style&yaml.FlowStyle != 0 {
		return nil, nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if k := mapping.Content[i]; isString(k) && k.Value == name {
			return k, mapping.Content[i+1]
		}
	}
	return nil, nil
}

// restore gives a tree the lines of the file. It is false where a line is none of
// the frame's, or something may be meant elsewhere, too.
func (f *frame) restore(n *yaml.Node) bool {
	if n.Line < 1 || n.Line > len(f.lines) || n.Kind == yaml.AliasNode || n.Anchor != "" {
		return false
	}
	n.Line = int(f.lines[n.Line-1])
	for _, c := range n.Content {
		if !f.restore(c) {
			return false
		}
	}
	return true
}
