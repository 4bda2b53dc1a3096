package receiver

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/identity"
)

// member is one of an event in JSON format, as it stands there.
type member struct {
	name string
	raw  json.RawMessage
}

// members reads the one JSON object in body. A name that stands twice is refused:
// two readers could take it for two events.
func members(body []byte) ([]member, error) {
	if !utf8.Valid(body) {
		return nil, refuse(BadEvent, "the event is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, refuse(BadEvent, "the event is not a JSON object")
	}
	var all []member
	seen := make(map[string]bool, 16)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, refuse(BadEvent, "the event is not JSON: "+err.Error())
		}
		m := member{name: token.(string)} // the decoder gives nothing else for a name
		if seen[m.name] {
			return nil, refuse(BadEvent, fmt.Sprintf("attribute %.40q stands twice", m.name))
		}
		if len(seen) > 2*maxExtensions {
			return nil, refuse(TooLarge, fmt.Sprintf("it has more than %d attributes", len(seen)))
		}
		seen[m.name] = true
		if err := dec.Decode(&m.raw); err != nil {
			return nil, refuse(BadEvent, "the event is not JSON: "+err.Error())
		}
		all = append(all, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, refuse(BadEvent, "the event is not JSON: "+err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, refuse(BadEvent, "something stands behind the event")
	}
	return all, nil
}

// readStructured reads an event in JSON format.
func readStructured(body []byte) (*Post, []member, error) {
	all, err := members(body)
	if err != nil {
		return nil, nil, err
	}
	p := new(Post)
	var version bool
	var data, encoded json.RawMessage
	for _, m := range all {
		switch {
		case m.name == "data":
			data = m.raw
			continue
		case string(m.raw) == "null":
			continue // null means not set
		case m.name == "data_base64":
			encoded = m.raw
			continue
		}
		value, err := canonical(m)
		if err != nil {
			return nil, nil, err
		}
		if err := p.set(m.name, value); err != nil {
			return nil, nil, err
		}
		version = version || m.name == "specversion"
	}
	if !version {
		return nil, nil, refuse(BadEvent, "attribute specversion is missing")
	}
	if p.Data, err = p.dataOf(data, encoded); err != nil {
		return nil, nil, err
	}
	return p, all, p.whole()
}

// canonical is the value of an attribute as a header has it: a string, a boolean
// or an integer of 32 bits.
func canonical(m member) (string, error) {
	text := string(m.raw)
	if text[0] == '"' {
		var s string
		if err := json.Unmarshal(m.raw, &s); err != nil {
			return "", refuse(BadEvent, fmt.Sprintf("attribute %.40s is not a string", m.name))
		}
		return s, nil
	}
	if text == "true" || text == "false" {
		return text, nil
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && strconv.FormatInt(n, 10) == text {
		return text, nil
	}
	return "", refuse(BadEvent, fmt.Sprintf("attribute %.40s is no string, boolean or integer", m.name))
}

// dataOf is the bytes of the data: those of the JSON value as they stand there, or
// of the string where the content is not JSON.
func (p *Post) dataOf(data, encoded json.RawMessage) ([]byte, error) {
	switch {
	case data != nil && encoded != nil:
		return nil, refuse(BadEvent, "both data and data_base64 are there")
	case encoded != nil:
		var s string
		if err := json.Unmarshal(encoded, &s); err != nil {
			return nil, refuse(BadEvent, "data_base64 is not a string")
		}
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, refuse(BadEvent, "data_base64 is not base64")
		}
		return raw, nil
	case len(data) > 0 && data[0] == '"' && !jsonContent(p.DataContentType):
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, refuse(BadEvent, "data is not a string")
		}
		return []byte(s), nil
	}
	return data, nil
}

// jsonContent says whether data of that type is JSON, as data of no type is.
func jsonContent(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// writeStructured writes the members of all again, data byte for byte, with what
// signing added or changed in place of what was there.
func (p *Post) writeStructured(all []member) []byte {
	added := []member{
		{"source", quoted(p.Source)}, {"time", quoted(p.Time.Format(time.RFC3339Nano))},
		{ChainAttribute, quoted(p.Extensions[ChainAttribute])}, {AudienceAttribute, quoted(p.Extensions[AudienceAttribute])},
		{identity.ProofAttribute, quoted(base64.StdEncoding.EncodeToString(p.Proof))},
	}
	own := make(map[string]bool, len(added))
	for _, m := range added {
		own[m.name] = true
	}
	kept := slices.DeleteFunc(slices.Clone(all), func(m member) bool { return own[m.name] })
	var b bytes.Buffer
	sep := byte('{')
	for _, m := range append(kept, added...) {
		b.WriteByte(sep)
		sep = ','
		b.Write(quoted(m.name))
		b.WriteByte(':')
		b.Write(m.raw)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func quoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // a string can always be written
	return raw
}
