package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	contentType          = "content-type"
	cloudEventsMediaType = "application/cloudevents"
)

// isStructured says of the value of Content-Type whether the whole event stands
// in the body. Only the JSON format is read; another format, or a batch, is refused.
func isStructured(value string) (bool, error) {
	n := len(cloudEventsMediaType)
	if len(value) < n || !strings.EqualFold(value[:n], cloudEventsMediaType) {
		return false, nil
	}
	media, _, _ := strings.Cut(value, ";")
	switch strings.ToLower(strings.TrimSpace(media[n:])) {
	case "", "+json":
		return true, nil
	}
	return false, refuse(ReasonBadHeader, "Content-Type %q is not the JSON format of one event", value)
}

// readStructured takes the attributes out of an event in JSON format and
// returns the bytes of its data as they stand there.
func (a *attributes) readStructured(body []byte) ([]byte, error) {
	members, err := membersOf(body)
	if err != nil {
		return nil, err
	}
	for name, raw := range members {
		i := attrIndex(name)
		if i < 0 || bytes.Equal(raw, []byte("null")) {
			continue // null means not set
		}
		value, err := attributeValue(i, raw)
		if err != nil {
			return nil, err
		}
		if err := a.set(i, value); err != nil {
			return nil, err
		}
	}
	data, plain := members["data"]
	encoded, binary := members["data_base64"]
	switch {
	case plain && binary:
		return nil, refuse(ReasonBadData, "both data and data_base64 are there")
	case binary:
		return binaryData(encoded)
	case plain:
		return data, nil
	}
	return nil, refuse(ReasonBadData, "data is missing")
}

// membersOf reads the members of the one JSON object in body. A name that
// stands twice is refused: two readers could take it for two events.
func membersOf(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, refuse(ReasonBadData, "event is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, refuse(ReasonBadData, "event is not a JSON object")
	}
	members := make(map[string]json.RawMessage, attrCount+1)
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, refuse(ReasonBadData, "event is not JSON: %v", err)
		}
		name, _ := token.(string)
		if _, twice := members[name]; twice {
			return nil, refuse(ReasonBadHeader, "attribute %s stands twice", name)
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, refuse(ReasonBadData, "event is not JSON: %v", err)
		}
		members[name] = raw
	}
	if _, err := dec.Token(); err != nil {
		return nil, refuse(ReasonBadData, "event is not JSON: %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, refuse(ReasonBadData, "something stands behind the event")
	}
	return members, nil
}

// attributeValue is the canonical string of an attribute: integers may stand
// as JSON numbers, everything else is a JSON string.
func attributeValue(i int, raw json.RawMessage) (string, error) {
	if (i == attrStep || i == attrSteps) && raw[0] != '"' {
		return string(raw), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", refuse(ReasonBadAttribute, "attribute %s is not a string", attrNames[i])
	}
	return s, nil
}

func binaryData(encoded json.RawMessage) ([]byte, error) {
	var s string
	if err := json.Unmarshal(encoded, &s); err != nil {
		return nil, refuse(ReasonBadData, "data_base64 is not a string")
	}
	data, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, refuse(ReasonBadData, "data_base64: %v", err)
	}
	return data, nil
}
