package projection

import (
	"encoding/binary"
	"time"
)

// packer writes values one behind the other, the small ones short. What it wrote
// is only ever read by an unpacker of the same process, in the same order.
type packer struct{ b []byte }

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

func (p *packer) plain(s string) {
	p.uint(uint64(len(s)))
	p.b = append(p.b, s...)
}

// unpacker reads what a packer wrote.
type unpacker struct {
	// from is read up to at. A number moves on and not the text: that would be a
	// pointer written for each byte.
	from string
	at   int
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

func flag(yes bool, f uint64) uint64 {
	if yes {
		return f
	}
	return 0
}
