package events

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// MaxBodyBytes is the largest body of a message, in bytes.
const MaxBodyBytes = 1 << 20

// Encode writes e for the subject that its type belongs on. It refuses what
// Decode would refuse, so that no writer can put a misfit on the log.
func Encode(s Subjects, e *Event) (Message, error) {
	f, err := checkEvent(e)
	if err != nil {
		return Message{}, err
	}
	return encode(s.prefix+"."+f.tail(e), e, f)
}

// EncodeTo is Encode for a subject of the caller's choice: a node's own
// credential subject, or the inbox of whoever asked.
func EncodeTo(subject string, e *Event) (Message, error) {
	f, err := checkEvent(e)
	if err != nil {
		return Message{}, err
	}
	return encode(subject, e, f)
}

func encode(subject string, e *Event, f *form) (Message, error) {
	body, err := bodyOf(e, f)
	if err != nil {
		return Message{}, err
	}
	var a attributes
	a.fill(e, f)
	header := make(map[string][]string, attrCount)
	values := make([]string, attrCount)
	for i, v := range a {
		if v != "" {
			values[i] = percentEncode(v)
			header[headerNames[i]] = values[i : i+1 : i+1]
		}
	}
	return Message{Subject: subject, Header: header, Data: body}, nil
}

// bodyOf returns the bytes that stand for the data of e.
func bodyOf(e *Event, f *form) ([]byte, error) {
	body, err := marshalData(e.Data)
	if err != nil {
		return nil, err
	}
	if e.Body != nil {
		if err := sameData(e, f, body); err != nil {
			return nil, err
		}
		body = e.Body
	}
	if len(body) > MaxBodyBytes {
		return nil, refuse(ReasonOversize, "data of %s has %d bytes, at most %d are allowed", e.Type, len(body), MaxBodyBytes)
	}
	return body, nil
}

func marshalData(data Payload) ([]byte, error) {
	if d, ok := data.(*PlanDecided); ok && d.Actions == nil {
		// A list is never null on the wire.
		c := *d
		c.Actions = []ActionRequested{}
		data = &c
	}
	if d, ok := data.(*PartitionApplied); ok && d.Shards == nil {
		c := *d
		c.Shards = []fleet.Shard{}
		data = &c
	}
	body, err := json.Marshal(data)
	if err != nil {
		return nil, refuse(ReasonBadData, "data cannot be written as JSON: %v", err)
	}
	return body, nil
}

// sameData refuses an event whose Data was changed while Body was kept: its
// readers would see something else than its writer.
func sameData(e *Event, f *form, want []byte) error {
	data, err := f.decode(e.Body)
	if err != nil {
		return err
	}
	have, err := marshalData(data)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, want) {
		return refuse(ReasonBadData, "body of %s does not say what its data says", e.Type)
	}
	return nil
}

// Decode reads a message in binary or structured mode. Every error is a
// *Refusal. The event's Body shares memory with m.Data.
//
// The subject must be the one that the type, the node and the action belong
// on. There are two exceptions: a node states credential.proved on its
// credential subject, and answers travel on the inbox of whoever asked, who
// must check that they come from whom was asked: command.answered, and those to
// a request (DecodeAnswer).
func Decode(s Subjects, m Message) (*Event, error) {
	return decode(m, "", s.check)
}

// DecodeStripped is Decode for a message to which a transport has added headers
// of its own, whose names begin with transport. They are taken out of m.Header,
// whether the message is an event or not. It looks at each header once.
func DecodeStripped(s Subjects, m Message, transport string) (*Event, error) {
	e, err := decode(m, transport, s.check)
	if err != nil { // perhaps before it had seen them all
		Strip(m.Header, transport)
	}
	return e, err
}

// Strip takes the headers out whose names begin with transport.
func Strip(header map[string][]string, transport string) {
	for name := range header {
		if strings.HasPrefix(name, transport) {
			delete(header, name)
		}
	}
}

// DecodeAnswer is Decode for an answer on an inbox, of any type and subject.
func DecodeAnswer(m Message) (*Event, error) {
	return decode(m, "", func(string, *Event, *form) error { return nil })
}

func decode(m Message, strip string, checkSubject func(string, *Event, *form) error) (*Event, error) {
	if len(m.Data) > MaxBodyBytes {
		return nil, refuse(ReasonOversize, "body has %d bytes, at most %d are allowed", len(m.Data), MaxBodyBytes)
	}
	var a attributes
	body, err := a.read(m, strip)
	if err != nil {
		return nil, err
	}
	e, f, err := a.event()
	if err != nil {
		return nil, err
	}
	if e.Data, err = f.decode(body); err != nil {
		return nil, err
	}
	e.Body = body
	if err := f.check(e); err != nil {
		return nil, err
	}
	if err := checkSubject(m.Subject, e, f); err != nil {
		return nil, err
	}
	return e, nil
}

// read takes the attributes of a message and returns the bytes of its data.
func (a *attributes) read(m Message, strip string) ([]byte, error) {
	if a.quick(m.Header) {
		return m.Data, nil
	}
	*a = attributes{}
	structured, ofHeaders, err := a.readHeaders(m.Header, strip)
	if err != nil {
		return nil, err
	}
	if structured { // then headers say nothing about the event
		*a = attributes{}
		return a.readStructured(m.Data)
	}
	return m.Data, ofHeaders
}

func (s Subjects) check(subject string, e *Event, f *form) error {
	if f.isNodeFact() && s.isNode(subject, e.Node) {
		return nil
	}
	rest, ok := strings.CutPrefix(subject, s.prefix)
	if ok && rest != "" && rest[0] == '.' && rest[1:] == f.tail(e) {
		return nil
	}
	switch e.Type {
	case TypeCommandAnswered:
		return nil
	case TypeCredentialProved:
		if subject == s.Credential(e.Node) {
			return nil
		}
	}
	return refuse(ReasonWrongSubject, "%s came on %q, not on %q", e.Type, subject, s.prefix+"."+f.tail(e))
}

// decode reads data strictly: no unknown, missing, doubled, null or
// differently spelled field, nothing behind the object, only UTF-8.
func (f *form) decode(body []byte) (Payload, error) {
	if data, ok := f.quick(body); ok {
		return data, nil
	}
	return f.slow(body)
}

// quick reads what its reader reads; false says nothing about the body.
func (f *form) quick(body []byte) (Payload, bool) {
	if f.read == nil {
		return nil, false
	}
	data := f.fresh()
	rest, ok := f.read(space(body), reflect.ValueOf(data).Elem())
	return data, ok && len(space(rest)) == 0
}

// slow decides what is read, and says what is wrong.
func (f *form) slow(body []byte) (Payload, error) {
	if !utf8.Valid(body) { // encoding/json would read something else
		return nil, refuse(ReasonBadData, "data of %s is not valid UTF-8", f.Type)
	}
	data := f.fresh()
	if err := json.Unmarshal(body, data); err != nil {
		return nil, refuse(ReasonBadData, "data of %s: %v", f.Type, err)
	}
	if err := f.shape.check(body); err != nil {
		return nil, refuse(ReasonBadData, "data of %s: %v", f.Type, err)
	}
	return data, nil
}

// formOf finds the registry's row for e and checks that its data is of it.
func formOf(e *Event) (*form, error) {
	f, ok := forms[e.Type]
	if !ok {
		return nil, refuse(ReasonUnknownType, "event type %q is not in the registry", e.Type)
	}
	if e.Data == nil || reflect.TypeOf(e.Data) != f.payload || reflect.ValueOf(e.Data).IsNil() {
		return nil, refuse(ReasonBadData, "data of %s is %T or nil, not a %s", e.Type, e.Data, f.payload)
	}
	return f, nil
}
