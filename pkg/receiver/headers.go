package receiver

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/events"
	"github.com/fleetfold/fleetfold/pkg/identity"
)

// maxHeaders bounds how many headers are looked at.
const maxHeaders = 256

// mode is where an event stands in a message.
type mode int

const (
	noEvent mode = iota
	binaryMode
	structuredMode
)

// modeOf tells the mode by the content type, and by a ce- header.
func modeOf(header map[string][]string) (mode, error) {
	if len(header) > maxHeaders {
		return noEvent, refuse(TooLarge, fmt.Sprintf("it has %d headers, at most %d are allowed", len(header), maxHeaders))
	}
	content, err := single(header, "content-type")
	if err != nil {
		return noEvent, err
	}
	const family = "application/cloudevents"
	if len(content) >= len(family) && strings.EqualFold(content[:len(family)], family) {
		media, _, _ := strings.Cut(content, ";")
		switch strings.ToLower(strings.TrimSpace(media[len(family):])) {
		case "", "+json":
			return structuredMode, nil
		}
		return noEvent, refuse(UnsupportedMode, fmt.Sprintf("content type %.60q is not the JSON format of one event", content))
	}
	version, err := single(header, "ce-specversion")
	if err != nil || version == "" {
		return noEvent, err
	}
	return binaryMode, nil
}

// single is the value of a header in any case; "" where it is not set.
func single(header map[string][]string, name string) (value string, err error) {
	found := false
	for n, values := range header {
		if len(n) != len(name) || !strings.EqualFold(n, name) {
			continue
		}
		if found || len(values) != 1 {
			return "", refuse(BadEvent, "header "+name+" must have one value")
		}
		value, found = values[0], true
	}
	return value, nil
}

// readHeaders reads an event in binary mode. Content-Type is the attribute
// datacontenttype over HTTP; the bus has it among the others.
func readHeaders(header map[string][]string, data []byte, http bool) (*Post, error) {
	p := &Post{Data: data}
	if http {
		content, err := single(header, "content-type")
		if err != nil {
			return nil, err
		}
		if content != "" {
			if err := p.set("datacontenttype", content); err != nil {
				return nil, err
			}
		}
	}
	seen := make(map[string]bool, 16)
	for _, n := range slices.Sorted(maps.Keys(header)) { // which misfit is named must not vary
		if len(n) < 3 || !strings.EqualFold(n[:3], "ce-") {
			continue
		}
		name := strings.ToLower(n[3:])
		if seen[name] || len(header[n]) != 1 || http && name == "datacontenttype" {
			return nil, refuse(BadEvent, fmt.Sprintf("attribute %.40s stands twice", name))
		}
		seen[name] = true
		value, err := events.DecodeHeaderValue(header[n][0])
		if err != nil {
			return nil, refuse(BadEvent, fmt.Sprintf("attribute %.40s: %v", name, err))
		}
		if err := p.set(name, value); err != nil {
			return nil, err
		}
	}
	return p, p.whole()
}

// headers writes what signing added or changed, each name as spell has it.
func (p *Post) headers(header map[string][]string, spell func(string) string) {
	put := func(name, value string) {
		for n := range header { // in whatever case the caller wrote it
			if strings.EqualFold(n, "ce-"+name) {
				delete(header, n)
			}
		}
		header[spell("ce-"+name)] = []string{events.EncodeHeaderValue(value)}
	}
	put("specversion", specVersion)
	put("source", p.Source)
	put("time", p.Time.Format(time.RFC3339Nano))
	for _, name := range []string{ChainAttribute, AudienceAttribute} {
		put(name, p.Extensions[name])
	}
	put(identity.ProofAttribute, base64.StdEncoding.EncodeToString(p.Proof))
}
