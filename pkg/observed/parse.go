package observed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// Parse turns the bytes of a file into an observed state. The error is an
// *Error with everything that is wrong.
func Parse(data []byte) (*fleet.ObservedState, error) {
	end, problem := firstValue(data)
	if problem != nil {
		return nil, &Error{Problems: []Problem{*problem}}
	}
	r := newReader(data[:end])
	state := r.state()
	if rest := bytes.TrimLeft(data[end:], " \t\r\n"); len(rest) > 0 {
		r.report(Problem{Line: lineAt(data, len(data)-len(rest)), Message: "something stands behind the end of the object"})
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
		return nil, &Error{Problems: r.problems}
	}
	return state, nil
}

// firstValue finds the end of the first JSON value, or why there is none.
func firstValue(data []byte) (end int64, problem *Problem) {
	if at := invalidUTF8(data); at >= 0 {
		return 0, &Problem{Line: lineAt(data, at), Message: "not UTF-8 text"}
	}
	var value json.RawMessage
	dec := json.NewDecoder(bytes.NewReader(data))
	if dec.Decode(&value) == nil {
		return dec.InputOffset(), nil
	}
	if len(bytes.TrimLeft(data, " \t\r\n")) == 0 {
		return 0, &Problem{Line: 1, Message: "empty: an object with nodes and strict_enforced is wanted"}
	}
	// Unmarshal counts the bytes up to the error from the beginning of the file.
	err := json.Unmarshal(data, &value)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return 0, &Problem{Line: 1, Message: fmt.Sprintf("not JSON: %v", err)}
	}
	// The offset is just behind the byte that does not fit; at the end of the
	// text there is no such byte.
	at := max(int(syntax.Offset)-1, 0)
	return 0, &Problem{Line: lineAt(data, at), Message: fmt.Sprintf("not JSON: %v", syntax)}
}

func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

// lineAt is the line, from 1, that the byte at the offset stands on.
func lineAt(data []byte, offset int) int {
	return 1 + bytes.Count(data[:min(offset, len(data))], []byte{'\n'})
}

// state reads the whole file.
func (r *reader) state() *fleet.ObservedState {
	state := &fleet.ObservedState{Nodes: []fleet.ObservedNode{}}
	r.object("", []string{"nodes", "strict_enforced"}, func(key, path string) {
		switch key {
		case "nodes":
			first := make(map[fleet.NodeID]int)
			r.list(path, func(path string) { state.Nodes = append(state.Nodes, r.node(path, first)) })
		case "strict_enforced":
			state.StrictEnforced = r.boolean(path)
		}
	})
	return state
}

// node reads one node; first holds the line on which each id stood first.
func (r *reader) node(path string, first map[fleet.NodeID]int) fleet.ObservedNode {
	var node fleet.ObservedNode
	r.object(path, []string{"id", "present", "can_sign"}, func(key, path string) {
		switch key {
		case "id":
			node.ID = r.id(path, first)
		case "present":
			node.Present = r.boolean(path)
		case "can_sign":
			node.CanSign = r.boolean(path)
		}
	})
	return node
}

func (r *reader) id(path string, first map[fleet.NodeID]int) fleet.NodeID {
	text, ok := r.text(path)
	if !ok {
		return ""
	}
	id, err := fleet.ParseNodeID(text)
	if err != nil {
		r.report(Problem{Path: path, Line: r.line, Message: err.Error()})
		return ""
	}
	if line, twice := first[id]; twice {
		r.report(Problem{Path: path, Line: r.line, Message: fmt.Sprintf("node id %q is given twice, first on line %d", id, line)})
		return id
	}
	first[id] = r.line
	return id
}
