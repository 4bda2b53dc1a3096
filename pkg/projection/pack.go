package projection

import (
	"encoding/binary"
	"strings"
	"time"
)

// packer writes values one behind the other, the small ones short. What it wrote
// is only ever read by an unpacker of the same process, in the same order.
type packer struct {
	b     []byte
	names *names
}

func (p *packer) uint(n uint64) { p.b = binary.AppendUvarint(p.b, n) }
func (p *packer) int(n int)     { p.b = binary.AppendVarint(p.b, int64(n)) }

// time is a moment without a zone. Seconds count from a time near ours.
func (p *packer) time(t time.Time) {
	if t.IsZero() {
		p.uint(0)
		return
	}
	p.uint(uint64(t.Nanosecond()) + 1)
	p.b = binary.AppendVarint(p.b, t.Unix()-someSecond)
}

const someSecond = 1_800_000_000

// The kinds of texts: serials, nonces and fingerprints are hex, and take half.
const (
	textPlain = iota
	textHex
	textDigest // hex behind "sha256:"
	textKinds
)

const digestPrefix = "sha256:"

func (p *packer) text(s string) {
	if digits, found := strings.CutPrefix(s, digestPrefix); found && p.hex(digits, textDigest) || !found && p.hex(s, textHex) {
		return
	}
	p.uint(uint64(len(s)*textKinds + textPlain))
	p.b = append(p.b, s...)
}

// hex packs lower-case digits; false if these are none.
func (p *packer) hex(digits string, kind int) bool {
	if len(digits)%2 != 0 || digits == "" {
		return false
	}
	start := len(p.b)
	p.uint(uint64(len(digits)/2*textKinds + kind))
	for i := 0; i < len(digits); i += 2 {
		high, low := nibbles[digits[i]], nibbles[digits[i+1]]
		if high|low > 15 {
			p.b = p.b[:start]
			return false
		}
		p.b = append(p.b, high<<4|low)
	}
	return true
}

// nibbles are the values of the digits, 255 for what is none.
var nibbles = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for value, digit := range []byte(hexDigits) {
		values[digit] = byte(value)
	}
	return values
}()

// plain is a text that is no digits.
func (p *packer) plain(s string) {
	p.uint(uint64(len(s)))
	p.b = append(p.b, s...)
}

// name is a text that others have, too.
func (p *packer) name(s string) {
	n := uint64(0)
	if s != "" {
		n = p.names.number(s)
	}
	if p.uint(n); n == 0 {
		p.text(s)
	}
}

// unpacker reads what a packer wrote.
type unpacker struct {
	// from is read up to at. A number moves on and not the text: that would be a
	// pointer written for each byte.
	from  string
	at    int
	names *names
	// hex collects the digits of all texts, so that they are one piece of memory;
	// due are the texts that they are to become.
	hex []byte
	due []dueText
}

type dueText struct {
	text     *string
	from, to int
}

func (u *unpacker) uint() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := u.from[u.at]
		u.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (u *unpacker) varint() int64 {
	n := u.uint()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) more() bool { return u.at < len(u.from) }

func (u *unpacker) int() int { return int(u.varint()) }

func (u *unpacker) time() time.Time {
	nanos := u.uint()
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(u.varint()+someSecond, int64(nanos)-1).UTC()
}

func (u *unpacker) take(n int) string {
	u.at += n
	return u.from[u.at-n : u.at]
}

func (u *unpacker) plain() string { return u.take(int(u.uint())) }

// text reads into a string, which may have its value only when done was called.
func (u *unpacker) text(into *string) {
	n := int(u.uint())
	packed := u.take(n / textKinds)
	if n%textKinds == textPlain {
		*into = packed
		return
	}
	from := len(u.hex)
	if n%textKinds == textDigest {
		u.hex = append(u.hex, digestPrefix...)
	}
	for i := range len(packed) {
		u.hex = append(u.hex, hexDigits[packed[i]>>4], hexDigits[packed[i]&15])
	}
	u.due = append(u.due, dueText{into, from, len(u.hex)})
}

const hexDigits = "0123456789abcdef"

func (u *unpacker) name(into *string) {
	if n := u.uint(); n > 0 {
		*into = u.names.list[n-1]
		return
	}
	u.text(into)
}

// done gives the texts their values.
func (u *unpacker) done() {
	if len(u.due) == 0 {
		return
	}
	all := string(u.hex)
	for _, d := range u.due {
		*d.text = all[d.from:d.to]
	}
	u.hex, u.due = u.hex[:0], u.due[:0]
}
