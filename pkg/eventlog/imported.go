package eventlog

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server stamps what it stores with its own time. A log that was imported keeps
// the times that its records had in headers of their own. They are believed up
// to the sequence that the stream's metadata names, which only who may make or
// change streams can write, and nobody may at runtime.
const (
	metaThrough = "fleetfold_imported_through"
	metaRoot    = "fleetfold_imported_root"

	headerTime = "Fleetfold-Time"
	// headerAll has all headers of a record whose own could not be sent as they
	// are: JSON in which names and values are base64, in base64.
	headerAll = "Fleetfold-Headers"
)

// importMark says that the records through a sequence were imported, and which:
// root is that of the tree over them. The zero mark is that of a log that grew.
type importMark struct {
	through uint64
	root    string
}

func markOf(c jetstream.StreamConfig) (importMark, error) {
	text, ok := c.Metadata[metaThrough]
	if !ok {
		return importMark{}, nil
	}
	through, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return importMark{}, fmt.Errorf("stream %s: metadata %s is %q, not a sequence", c.Name, metaThrough, text)
	}
	return importMark{through, c.Metadata[metaRoot]}, nil
}

func (m importMark) metadata() map[string]string {
	return map[string]string{metaThrough: strconv.FormatUint(m.through, 10), metaRoot: m.root}
}

// importedThrough is asked for only where a record claims to be imported.
func (l *streamLog) importedThrough(ctx context.Context) (uint64, error) {
	if m := l.bus.imported.Load(); m != nil {
		return m.through, nil
	}
	if l.bus.options.NoConsumers {
		return l.askThrough(ctx)
	}
	if _, err := l.stream(ctx); err != nil {
		return 0, fmt.Errorf("ask whether the log was imported: %w", err)
	}
	return l.bus.imported.Load().through, nil
}

// errCodeNoJetStream is the answer of an account that has no streams of its own.
const errCodeNoJetStream = 10039

// askThrough asks from an account beside that of the streams. There the server
// answers twice: for the account itself, that it has no streams, and for that of
// the streams, which the question is carried on to.
func (l *streamLog) askThrough(ctx context.Context) (uint64, error) {
	type answer struct {
		Config jetstream.StreamConfig `json:"config"`
		Error  *jetstream.APIError    `json:"error"`
	}
	var a answer
	_, err := ask(ctx, l.bus, func(ctx context.Context) (*nats.Msg, error) {
		return l.bus.requestUnread(ctx, l.bus.apiPrefix()+"STREAM.INFO."+l.name, nil, func(m *nats.Msg) bool {
			a = answer{}
			return json.Unmarshal(m.Data, &a) == nil && (a.Error == nil || a.Error.ErrorCode != errCodeNoJetStream)
		})
	})
	if err == nil && a.Error != nil {
		err = a.Error
	}
	if err == nil {
		err = l.bus.remember(a.Config)
	}
	if err != nil {
		return 0, fmt.Errorf("ask whether the log was imported: %w", err)
	}
	return l.bus.imported.Load().through, nil
}

// remember keeps what a stream's configuration says of an import.
func (b *Bus) remember(c jetstream.StreamConfig) error {
	m, err := markOf(c)
	if err == nil {
		b.imported.Store(&m)
	}
	return err
}

// restore gives a record that was imported the time and the headers that it had.
func (l *streamLog) restore(ctx context.Context, r *Record) error {
	stamps := r.Message.Header[headerTime]
	if len(stamps) == 0 {
		return nil
	}
	through, err := l.importedThrough(ctx)
	if err != nil || r.Sequence > through {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, stamps[len(stamps)-1])
	if err != nil {
		return fmt.Errorf("sequence %d was imported with the time %q, which is none", r.Sequence, stamps[len(stamps)-1])
	}
	r.Time = at.UTC()
	if all := r.Message.Header[headerAll]; len(stamps) == 1 && len(all) == 1 && strings.HasPrefix(all[0], packedMark) {
		r.Message.Header, err = unpackHeaders(strings.TrimPrefix(all[0], packedMark))
		if err != nil {
			return fmt.Errorf("sequence %d was imported with headers that cannot be read: %w", r.Sequence, err)
		}
		return nil
	}
	if r.Message.Header[headerTime] = stamps[:len(stamps)-1]; len(stamps) == 1 {
		delete(r.Message.Header, headerTime)
	}
	return nil
}

// packedMark tells packed headers from one that a record had under that name.
const packedMark = "packed:"

// imported is the message that restore makes r of.
func imported(r Record) *nats.Msg {
	m := &nats.Msg{Subject: r.Message.Subject, Header: nats.Header{}, Data: r.Message.Data}
	if carried(r.Message.Header) {
		for name, values := range r.Message.Header {
			m.Header[name] = append([]string(nil), values...)
		}
	} else {
		m.Header[headerAll] = []string{packedMark + packHeaders(r.Message.Header)}
	}
	m.Header[headerTime] = append(m.Header[headerTime], r.Time.UTC().Format(time.RFC3339Nano))
	return m
}

// carried says whether headers arrive as they are sent.
func carried(header map[string][]string) bool {
	for name, values := range header {
		if name == "" || name == headerAll || strings.HasPrefix(name, "Nats-") || strings.ContainsFunc(name, notInName) {
			return false
		}
		for _, v := range values {
			if strings.ContainsFunc(v, notPlain) || v != strings.Trim(v, " ") {
				return false
			}
		}
	}
	return true
}

// notInName leaves what the client library sends as the name of a header.
func notInName(r rune) bool {
	return notPlain(r) || strings.ContainsRune(" \"(),/:;<=>?@[\\]{}", r)
}

func notPlain(r rune) bool { return r < 0x20 || r > 0x7e }

func packHeaders(header map[string][]string) string {
	packed := make(map[string][][]byte, len(header))
	for name, values := range header {
		for _, v := range values {
			key := base64.StdEncoding.EncodeToString([]byte(name))
			packed[key] = append(packed[key], []byte(v))
		}
	}
	text, err := json.Marshal(packed)
	if err != nil {
		panic("eventlog: base64 has no JSON: " + err.Error())
	}
	return base64.StdEncoding.EncodeToString(text)
}

func unpackHeaders(text string) (map[string][]string, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	var packed map[string][][]byte
	if err := json.Unmarshal(raw, &packed); err != nil {
		return nil, err
	}
	header := make(map[string][]string, len(packed))
	for key, values := range packed {
		name, err := base64.StdEncoding.DecodeString(key)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			header[string(name)] = append(header[string(name)], string(v))
		}
	}
	return header, nil
}

// ImportingError says that the log is being imported, or that an import of it
// was not ended.
type ImportingError struct {
	// At is the sequence it is at, Through the one it is to end with.
	At, Through uint64
}

func (e *ImportingError) Error() string {
	return fmt.Sprintf("the log is being imported, and ends at sequence %d of %d", e.At, e.Through)
}

// Hint is one sentence for a person.
func (e *ImportingError) Hint() string {
	return "wait for 'fleetfold import' to end; if it was interrupted, run it again with the same file"
}

// checkImport refuses a log of which the end is still to come: whoever appended
// to it now would take the place of a record.
func (b *Bus) checkImport(ctx context.Context) error {
	return b.whenSettled(ctx, func(ctx context.Context) error {
		s, err := (&streamLog{bus: b, name: b.logStream()}).stream(ctx)
		if err != nil {
			return fmt.Errorf("look up stream %s: %w", b.logStream(), err)
		}
		info := s.CachedInfo()
		m, err := markOf(info.Config)
		if err == nil && info.State.LastSeq < m.through {
			err = &ImportingError{info.State.LastSeq, m.through}
		}
		return err
	})
}

// ErrNotEmpty means that there is a history already, so that none can be imported.
var ErrNotEmpty = errors.New("there is a log already")
