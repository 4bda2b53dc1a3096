package inventory

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// These ask for the resolved tag and not for the look of the text: "007" in
// quotes is a string, 007 is not.

func isString(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str"
}

// isNull does not believe the tag alone: `!!null x` has a text.
func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!null" {
		return false
	}
	return n.Value == "" || n.Value == "~" || strings.EqualFold(n.Value, "null")
}

// asBool does not believe the tag alone either: `!!bool x` is not a boolean.
func asBool(n *yaml.Node) (is, ok bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		return false, false
	}
	switch n.Value {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// isNumber says that n is a YAML integer or float.
func isNumber(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float")
}

// describe says in a few words what n is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "the string " + quote(n.Value)
	case "!!int", "!!float":
		return "the number " + cut(n.Value)
	case "!!bool":
		return "the boolean " + cut(n.Value)
	case "!!null":
		return "null"
	case "!!timestamp":
		return "the date " + cut(n.Value)
	}
	return "a value tagged " + quote(n.ShortTag())
}

// cut is quote without the quotes.
func cut(s string) string {
	return strings.ReplaceAll(quote(s), `"`, "")
}

// join appends a key to a path. A key that would make the path ambiguous or
// endless is quoted and cut.
func join(path, key string) string {
	if !plainKey(key) {
		return path + "[" + quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func plainKey(key string) bool {
	if key == "" || len(key) > quotedBytes {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
