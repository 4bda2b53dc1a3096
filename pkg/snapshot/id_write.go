package snapshot

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// The ids are nearly all of a snapshot of a large fleet, and are written by hand:
// no names, the numbers short, digits packed, and what many nodes share once. A
// field more in what is written here is another format.

// idWriter writes ids one behind the other. Equal ids behind equal ones are equal
// bytes.
type idWriter struct {
	b      []byte
	shared map[string]uint64
}

// maxShared bounds what both sides keep of shared texts.
const maxShared = 4096

// What of an id there is.
const (
	withRemoval = 1 << iota
	withNode
	withPresent
	withLost
	withIssued
	withProved
	withProvedIssued // they are equal
	withPast
	withAttempts
	flagsEnd
)

func bit(yes bool, flag uint64) uint64 {
	if yes {
		return flag
	}
	return 0
}

func flagsOf(i *projection.IDImage) uint64 {
	f := bit(!i.RemovedAt.IsZero(), withRemoval) | bit(len(i.Losses)+len(i.Earlier) > 0, withPast) | bit(len(i.Attempts) > 0, withAttempts)
	n := i.Node
	if n == nil {
		return f
	}
	// By value: two that are equal make the same state, and so the same bytes.
	same := n.Issued != nil && n.Proved != nil && *n.Issued == *n.Proved
	f |= withNode | bit(n.Present, withPresent) | bit(n.Lost, withLost) | bit(n.Issued != nil, withIssued)
	return f | bit(n.Proved != nil && !same, withProved) | bit(same, withProvedIssued)
}

func (w *idWriter) id(i *projection.IDImage) {
	f := flagsOf(i)
	w.uint(f)
	w.text(string(i.ID))
	w.uint(i.Epoch)
	w.uint(i.Last)
	if f&withRemoval != 0 {
		w.time(i.RemovedAt)
	}
	if f&withNode != 0 {
		w.node(i.Node, f)
	}
	if f&withPast != 0 {
		w.past(i)
	}
	if f&withAttempts != 0 {
		w.attempts(i.Attempts)
	}
}

func (w *idWriter) node(n *projection.Node, f uint64) {
	w.uint(n.Began)
	w.text(n.Session)
	w.text(n.KeyFingerprint)
	w.common(n.Bundle)
	w.time(n.ProvedAt)
	if f&withIssued != 0 {
		w.credential(n.Issued, n.KeyFingerprint)
	}
	if f&withProved != 0 {
		w.credential(n.Proved, n.KeyFingerprint)
	}
}

func (w *idWriter) credential(c *projection.Credential, key string) {
	w.uint(bit(c.KeyFingerprint == key, 1))
	if c.KeyFingerprint != key {
		w.text(c.KeyFingerprint)
	}
	w.text(c.Serial)
	w.text(c.Nonce)
	w.uint(c.Epoch)
	w.time(c.NotBefore)
	w.time(c.NotAfter)
	w.time(c.IssuedAt)
	w.uint(c.Sequence)
	w.common(c.Issuer)
}

func (w *idWriter) past(i *projection.IDImage) {
	w.uint(uint64(len(i.Losses)))
	for _, at := range i.Losses {
		w.time(at)
	}
	w.uint(uint64(len(i.Earlier)))
	for _, e := range i.Earlier {
		w.text(e.Serial)
		w.common(e.Issuer)
		w.text(e.KeyFingerprint)
		w.time(e.NotAfter)
	}
}

func (w *idWriter) attempts(list []projection.NeedImage) {
	w.uint(uint64(len(list)))
	for _, a := range list {
		w.common(string(a.Type))
		w.int(a.Published)
		w.int(a.Failures)
		w.time(a.LastOutcome)
		w.uint(bit(a.LastRefused, 1) | bit(a.Retry, 2))
		w.text(a.LastError)
		w.uint(a.Epoch)
		w.uint(a.Generation)
	}
}

func (w *idWriter) uint(n uint64) { w.b = binary.AppendUvarint(w.b, n) }
func (w *idWriter) int(n int)     { w.b = binary.AppendVarint(w.b, int64(n)) }

// time is 0 for the zero time; else the nanoseconds plus one, and the seconds from
// one near ours.
func (w *idWriter) time(t time.Time) {
	if t.IsZero() {
		w.uint(0)
		return
	}
	w.uint(uint64(t.Nanosecond()) + 1)
	w.b = binary.AppendVarint(w.b, t.Unix()-someSecond)
}

const someSecond = 1_800_000_000

// The kinds of texts.
const (
	textPlain = iota
	textHex
	textDigest // hex behind "sha256:"
	textKinds
)

const digestPrefix = "sha256:"

// text is its length and kind in one number, and its bytes; of hex, half as many.
func (w *idWriter) text(s string) {
	if digits, found := strings.CutPrefix(s, digestPrefix); found && isHex(digits) {
		w.hex(digits, textDigest)
		return
	}
	if isHex(s) {
		w.hex(s, textHex)
		return
	}
	w.uint(uint64(len(s)*textKinds + textPlain))
	w.b = append(w.b, s...)
}

func (w *idWriter) hex(digits string, kind int) {
	w.uint(uint64(len(digits)/2*textKinds + kind))
	for i := 0; i < len(digits); i += 2 {
		w.b = append(w.b, nibble(digits[i])<<4|nibble(digits[i+1]))
	}
}

func isHex(s string) bool {
	if len(s)%2 != 0 || s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func nibble(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

// common is a text that many share: 0 and the text where there is no room to keep
// it, 1 and the text where it stands first, and its number from 2 on after that.
func (w *idWriter) common(s string) {
	if n, known := w.shared[s]; known {
		w.uint(n + 2)
		return
	}
	if len(w.shared) == maxShared {
		w.uint(0)
		w.text(s)
		return
	}
	if w.shared == nil {
		w.shared = make(map[string]uint64)
	}
	w.shared[strings.Clone(s)] = uint64(len(w.shared))
	w.uint(1)
	w.text(s)
}
