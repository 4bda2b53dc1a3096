package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// coreNames are the names that an extension cannot have: those of the core
// context attributes, that of the data, and the proof's own.
var coreNames = [...]string{
	"id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", ProofAttribute,
}

// checkNames holds for signing and for verifying, so that a valid signature
// does not make a bad list good.
func checkNames(names []string) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		switch {
		case !isAttributeName(name):
			return refuse(ProofNames, fmt.Sprintf("%.100q is no attribute name: lower-case letters and digits make one", name))
		case slices.Contains(coreNames[:], name):
			return refuse(ProofNames, fmt.Sprintf("%q is not an extension", name))
		case seen[name]:
			return refuse(ProofNames, fmt.Sprintf("%.100q stands twice", name))
		}
		seen[name] = true
	}
	return nil
}

func isAttributeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// decodeObject reads a JSON object whose wanted fields must all be there.
func decodeObject(data []byte, wanted map[string]any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return errors.New("it is not a JSON object")
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if err := decodeField(fields, name, wanted[name]); err != nil {
			return err
		}
	}
	return nil
}

// decodeField refuses null, which encoding/json takes for anything.
func decodeField(fields map[string]json.RawMessage, name string, into any) error {
	raw, ok := fields[name]
	if !ok {
		return fmt.Errorf("%s is missing", name)
	}
	if string(raw) == "null" || json.Unmarshal(raw, into) != nil {
		return fmt.Errorf("%s is of another type than agreed", name)
	}
	return nil
}

// decodeBase64 takes both alphabets, as DSSE asks of a reader.
func decodeBase64(s string) ([]byte, error) {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return b, nil
	}
	return base64.URLEncoding.DecodeString(s)
}
