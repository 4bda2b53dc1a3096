package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/fleetfold/fleetfold/pkg/eventlog"
	"github.com/fleetfold/fleetfold/pkg/merkle"
)

// Version of the format that is written.
const Version = 1

// The beginnings that tell the sorts of lines apart.
const (
	headerMark    = `{"fleetfold_export":`
	recordMark    = `{"seq":`
	inventoryMark = `{"inventory":`
	trailerMark   = `{"size":`
	chainMark     = `,"chain":"`
)

// Header is the first line of a file.
type Header struct {
	Prefix string
	// After is the sequence that the file begins behind; 0 for a whole log.
	After    uint64
	chain    chain
	frontier []merkle.Hash
}

// chain is the running hash over records.
type chain [sha256.Size]byte

func firstChain(prefix string) chain { return sha256.Sum256([]byte("fleetfold export\n" + prefix)) }

func (c chain) next(leaf merkle.Hash) chain {
	var b [2 * sha256.Size]byte
	copy(b[:], c[:])
	copy(b[sha256.Size:], leaf[:])
	return sha256.Sum256(b[:])
}

// trailer is the last line of a file.
type trailer struct {
	size       uint64
	root       merkle.Hash
	chain      chain
	checkpoint string
}

// inventoryLine has the text, or why there is none.
type inventoryLine struct {
	digest, text, missing string
}

func (h *Header) appendTo(dst []byte) []byte {
	dst = append(dst, headerMark...)
	dst = strconv.AppendInt(dst, Version, 10)
	dst = appendString(append(dst, `,"prefix":`...), h.Prefix)
	dst = strconv.AppendUint(append(dst, `,"after":`...), h.After, 10)
	dst = appendChain(dst, h.chain)
	dst = append(dst, `,"frontier":[`...)
	for i, hash := range h.frontier {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, hash.String())
	}
	return append(dst, ']', '}', '\n')
}

func parseHeader(line []byte) (h Header, version uint64, ok bool) {
	p := parser{rest: line}
	p.want(headerMark)
	if version = p.number(); p.bad || version != Version {
		return h, version, !p.bad
	}
	p.want(`,"prefix":`)
	h.Prefix = p.string()
	p.want(`,"after":`)
	h.After = p.number()
	h.chain = p.chain()
	p.want(`,"frontier":[`)
	for !p.bad && !p.has("]") {
		if len(h.frontier) > 0 {
			p.want(",")
		}
		h.frontier = append(h.frontier, p.hash())
	}
	return h, version, !p.bad && bytes.Equal(h.appendTo(nil), line)
}

func appendChain(dst []byte, c chain) []byte {
	dst = append(dst, chainMark...)
	return append(hex.AppendEncode(dst, c[:]), '"')
}

func (p *parser) chain() (c chain) {
	p.want(chainMark)
	if len(p.rest) <= 2*len(c) {
		p.fail()
		return c
	}
	if _, err := hex.Decode(c[:], p.rest[:2*len(c)]); err != nil {
		p.fail()
		return c
	}
	p.rest = p.rest[2*len(c):]
	p.want(`"`)
	return c
}

func (p *parser) hash() merkle.Hash {
	h, err := tlog.ParseHash(p.string())
	if err != nil {
		p.fail()
	}
	return h
}

// appendRecord writes a record without its chain, and without the end of the line.
func appendRecord(dst []byte, r eventlog.Record) []byte {
	dst = strconv.AppendUint(append(dst, recordMark...), r.Sequence, 10)
	dst = append(dst, `,"time":"`...)
	dst = append(r.Time.UTC().AppendFormat(dst, time.RFC3339Nano), '"')
	dst = appendText(dst, "subject", r.Message.Subject)
	dst = appendHeaders(dst, r.Message.Header)
	if verbatim(r.Message.Data) {
		return append(append(dst, `,"data":`...), r.Message.Data...)
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, `,"data64":"`...), r.Message.Data), '"')
}

func appendRecordLine(dst []byte, r eventlog.Record, c chain) []byte {
	return append(appendChain(appendRecord(dst, r), c), '}', '\n')
}

func appendHeaders(dst []byte, header map[string][]string) []byte {
	write := func(s string) string { return s }
	if readable(header) {
		dst = append(dst, `,"headers":{`...)
	} else {
		dst = append(dst, `,"headers64":{`...)
		write = func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	}
	first := true
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if len(header[name]) == 0 {
			continue // says nothing, and has no part in the leaf either
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, write(name)), ':', '[')
		for i, value := range header[name] {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, write(value))
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func readable(header map[string][]string) bool {
	for name, values := range header {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return true
}

// parseRecord reads a record and its chain. Seq is as far as it was read, for
// the sake of the fault.
func parseRecord(line []byte) (r eventlog.Record, c chain, ok bool) {
	p := parser{rest: line}
	p.want(recordMark)
	r.Sequence = p.number()
	p.want(`,"time":`)
	var err error
	if r.Time, err = time.Parse(time.RFC3339Nano, p.string()); err != nil {
		p.fail()
	}
	r.Time = r.Time.UTC()
	r.Message.Subject = p.text("subject")
	r.Message.Header = p.headers()
	r.Message.Data = p.data()
	c = p.chain()
	p.want("}\n")
	return r, c, !p.bad && len(p.rest) == 0
}

func (p *parser) headers() map[string][]string {
	read := p.string
	if !p.has(`,"headers":{`) {
		p.want(`,"headers64":{`)
		read = p.base64
	}
	header := make(map[string][]string, 10)
	for !p.bad && !p.has("}") {
		if len(header) > 0 {
			p.want(",")
		}
		name := read()
		p.want(":[")
		values := []string{read()}
		for !p.bad && !p.has("]") {
			p.want(",")
			values = append(values, read())
		}
		header[name] = values
	}
	return header
}

// data ends where the chain begins, which has one length.
func (p *parser) data() []byte {
	if p.has(`,"data64":`) {
		return []byte(p.base64())
	}
	p.want(`,"data":`)
	end := len(p.rest) - len(chainMark) - 2*sha256.Size - len("\"}\n")
	if end < 0 {
		p.fail()
		return nil
	}
	data := bytes.Clone(p.rest[:end])
	p.rest = p.rest[end:]
	return data
}

func (l *inventoryLine) appendTo(dst []byte) []byte {
	dst = appendString(append(dst, inventoryMark...), l.digest)
	if l.missing != "" {
		dst = appendString(append(dst, `,"missing":`...), l.missing)
	} else {
		dst = appendText(dst, "text", l.text)
	}
	return append(dst, '}', '\n')
}

func parseInventory(line []byte) (l inventoryLine, ok bool) {
	p := parser{rest: line}
	p.want(inventoryMark)
	l.digest = p.string()
	if p.has(`,"missing":`) {
		l.missing = p.string()
	} else {
		l.text = p.text("text")
	}
	return l, !p.bad && bytes.Equal(l.appendTo(nil), line)
}

func (t *trailer) appendTo(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, trailerMark...), t.size, 10)
	dst = appendString(append(dst, `,"root":`...), t.root.String())
	dst = appendChain(dst, t.chain)
	dst = appendString(append(dst, `,"checkpoint":`...), t.checkpoint)
	return append(dst, '}', '\n')
}

func parseTrailer(line []byte) (t trailer, ok bool) {
	p := parser{rest: line}
	p.want(trailerMark)
	t.size = p.number()
	p.want(`,"root":`)
	t.root = p.hash()
	t.chain = p.chain()
	p.want(`,"checkpoint":`)
	t.checkpoint = p.string()
	return t, !p.bad && bytes.Equal(t.appendTo(nil), line)
}
