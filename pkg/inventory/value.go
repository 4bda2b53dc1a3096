package inventory

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/fleet"
	"gopkg.in/yaml.v3"
)

// walk goes through one document once and collects what it finds.
type walk struct {
	report Report
	// budget is how many more values may be reached through aliases.
	budget int
	// spent says that the budget ran out: nothing more is read or reported.
	spent bool
	// firstID and firstName say where an id or a region name was first given.
	firstID   map[fleet.NodeID]spot
	firstName map[string]int
	// at is the region and the node that are read now.
	at struct{ region, node int }
	// blocks are the nodes of regions by the empty value in their place, for a file
	// that is read piece by piece; gaveUp is what of one cannot be read so.
	blocks map[*yaml.Node]*block
	gaveUp unusual
	// durations and texts of the file that may come again.
	durations map[string]time.Duration
	texts     map[string]string
	// nodes counts the entries of all node lists, broken ones included;
	// countKnown is false when a list could not be read.
	nodes      int
	countKnown bool
}

// value is a place in the document: what stands there and how to name it.
type value struct {
	// node is never an alias; nil when the value is left out.
	node *yaml.Node
	path string
	// line is where the path leads to in the file; for anything reached through
	// an alias, the line of the alias.
	line    int
	aliased bool
	// keyLine is where its key stands, for a value in a mapping.
	keyLine int
}

// spot is where the id of a node stands: there is one for each node.
type spot struct{ line, region, node int32 }

func (w *walk) spot(line int) spot { return spot{int32(line), int32(w.at.region), int32(w.at.node)} }

func (s spot) path() string { return fmt.Sprintf("regions[%d].nodes[%d].id", s.region, s.node) }

// child steps from parent to n, through an alias if n is one.
func (w *walk) child(parent value, n *yaml.Node, path string) value {
	v := value{node: n, path: path, line: n.Line, aliased: parent.aliased}
	if parent.aliased {
		v.line = parent.line
	}
	if n.Kind == yaml.AliasNode {
		v.node, v.aliased = n.Alias, true
	}
	if v.aliased && !w.spent {
		w.budget--
		if w.budget < 0 {
			w.problem(TagParseError, v, "aliases make the document far larger than the file: write the values out")
			w.spent = true
		}
	}
	return v
}

func (w *walk) problem(tag string, at value, format string, args ...any) {
	w.add(&w.report.Errors, tag, at, fmt.Sprintf(format, args...))
}

func (w *walk) warning(tag string, at value, format string, args ...any) {
	w.add(&w.report.Warnings, tag, at, fmt.Sprintf(format, args...))
}

func (w *walk) add(to *[]Problem, tag string, at value, message string) {
	if w.spent {
		return
	}
	if at.aliased && at.node != nil && at.node.Line != at.line {
		message += fmt.Sprintf(" (an alias: the value is written on line %d)", at.node.Line)
	}
	*to = append(*to, Problem{Tag: tag, Path: at.path, Line: at.line, Message: message})
}

// sorted puts the problems in the order of the lines. Problems of one line stay
// in the order in which they were found.
func (r Report) sorted() Report {
	for _, list := range [][]Problem{r.Errors, r.Warnings} {
		sort.SliceStable(list, func(i, j int) bool { return list[i].Line < list[j].Line })
	}
	return r
}

// section is a mapping whose keys are known.
type section struct {
	at   value
	keys []string
	// values[i] belongs to keys[i].
	values []value
}

// section reads v as a mapping with no other keys than the given ones.
func (w *walk) section(v value, keys ...string) (section, bool) {
	s := section{at: v, keys: keys, values: make([]value, len(keys))}
	if v.node.Kind != yaml.MappingNode || v.node.ShortTag() != "!!map" {
		w.wrongType(v, "a mapping")
		return s, false
	}
	for i := 0; i+1 < len(v.node.Content) && !w.spent; i += 2 {
		w.entry(&s, v.node.Content[i], v.node.Content[i+1])
	}
	return s, true
}

// entry puts one key and its value where they belong. Of a key given twice the
// first value counts, so that the rest of the file can still be checked.
func (w *walk) entry(s *section, keyNode, valueNode *yaml.Node) {
	key := w.child(s.at, keyNode, s.at.path)
	name, isText := key.node.Value, isString(key.node)
	if key.node.Kind == yaml.ScalarNode {
		key.path = join(s.at.path, name)
	}
	i := slices.Index(s.keys, name)
	if i < 0 || !isText {
		w.unknownKey(key, s.keys)
		return
	}
	if first := s.values[i]; first.node != nil {
		w.problem(TagParseError, key, "key %s is given twice, first on line %d", name, first.keyLine)
		return
	}
	v := w.child(s.at, valueNode, key.path)
	v.keyLine = key.line
	if isNull(valueNode) && valueNode.Value == "" {
		v.line = key.line // what is not written has no line of its own
	}
	s.values[i] = v
}

func (w *walk) unknownKey(key value, known []string) {
	if key.node.Kind == yaml.ScalarNode && key.node.ShortTag() == "!!merge" {
		w.problem(TagParseError, key, "the merge key << is not supported: write the keys out")
		return
	}
	if key.node.Kind != yaml.ScalarNode {
		w.problem(TagParseError, key, "a key must be a word, not %s", describe(key.node))
		return
	}
	hint := didYouMean(key.node.Value, known)
	if hint == "" {
		hint = ": known here are " + strings.Join(known, ", ")
	}
	w.problem(TagParseError, key, "unknown key %s%s", quote(key.node.Value), hint)
}

// get returns the value of key and whether it is given. When it is not, the
// value still says where it would have to stand.
func (s section) get(key string) (value, bool) {
	v := s.values[slices.Index(s.keys, key)]
	if v.node == nil {
		missing := s.at
		missing.node, missing.path = nil, join(s.at.path, key)
		return missing, false
	}
	return v, !isNull(v.node)
}

// text reads v as a string.
func (w *walk) text(v value) (string, bool) {
	if isString(v.node) {
		return v.node.Value, true
	}
	w.wrongType(v, "a string")
	return "", false
}

// optionalText reads a string that may be left out.
func (w *walk) optionalText(s section, key string) string {
	v, given := s.get(key)
	if !given {
		return ""
	}
	text, _ := w.text(v)
	return text
}

// items reads v as a list.
func (w *walk) items(v value) ([]value, bool) {
	if v.node.Kind != yaml.SequenceNode || v.node.ShortTag() != "!!seq" {
		w.wrongType(v, "a list")
		return nil, false
	}
	var list []value
	for i, n := range v.node.Content {
		if w.spent {
			break
		}
		list = append(list, w.child(v, n, v.path+"["+strconv.Itoa(i)+"]"))
	}
	return list, true
}

func (w *walk) wrongType(v value, want string) {
	hint := ""
	if want == "a string" && v.node.Kind == yaml.ScalarNode && v.node.Value != "" {
		hint = ": put it in quotes"
	}
	w.problem(TagParseError, v, "must be %s, not %s%s", want, describe(v.node), hint)
}
