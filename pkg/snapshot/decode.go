package snapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync/atomic"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// Snapshot is a state read back.
type Snapshot struct {
	// Mark is the last record that the state holds.
	Mark Mark
	// Hash of the state.
	Hash  Hash
	State *projection.State
}

// Decode reads a snapshot. ErrOtherVersion and ErrDamaged say that it cannot be
// used; an error of r itself is neither. What it takes of memory is bounded by
// what is stored.
func Decode(r io.Reader) (*Snapshot, error) {
	d, err := open(r)
	if err != nil {
		return nil, err
	}
	return d.state()
}

// decoder has read the header and not yet the rest.
type decoder struct {
	source *source
	head   []byte
	mark   Mark
}

// source remembers the error of the reader beneath, which is no damage, and
// counts what it gave. The decompressor reads ahead in a goroutine of its own.
type source struct {
	r   io.Reader
	n   atomic.Uint64
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n.Add(uint64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// judge turns what went wrong into what it means.
func (s *source) judge(err error) error {
	switch {
	case s.err != nil && !errors.Is(s.err, ErrDamaged):
		return fmt.Errorf("read snapshot: %w", s.err)
	case errors.Is(err, ErrOtherVersion), errors.Is(err, ErrDamaged):
		return fmt.Errorf("decode snapshot: %w", err)
	}
	return fmt.Errorf("decode snapshot: %w: %w", ErrDamaged, err)
}

// open reads as far as the header.
func open(r io.Reader) (*decoder, error) {
	d := &decoder{source: &source{r: r}}
	if err := d.header(); err != nil {
		return nil, d.source.judge(err)
	}
	return d, nil
}

func (d *decoder) header() error {
	d.head = make([]byte, len(magic)+4)
	if _, err := io.ReadFull(d.source, d.head[:len(magic)+2]); err != nil {
		return err
	}
	if string(d.head[:len(magic)]) != magic {
		return errors.New("it does not begin as a snapshot does")
	}
	if have := binary.BigEndian.Uint16(d.head[len(magic):]); have != format {
		return fmt.Errorf("%w: format %d, this program reads %d", ErrOtherVersion, have, format)
	}
	if _, err := io.ReadFull(d.source, d.head[len(magic)+2:]); err != nil {
		return err
	}
	length := int(binary.BigEndian.Uint16(d.head[len(magic)+2:]))
	if length > maxHeader {
		return fmt.Errorf("header has %d bytes, at most %d are allowed", length, maxHeader)
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(d.source, raw); err != nil {
		return err
	}
	d.head = append(d.head, raw...)
	var h wireHeader
	if err := strict.Unmarshal(raw, &h); err != nil {
		return err
	}
	if h.Fold != projection.FoldVersion {
		return fmt.Errorf("%w: fold %d, this program folds by %d", ErrOtherVersion, h.Fold, projection.FoldVersion)
	}
	d.mark = Mark{Sequence: h.Sequence, Time: h.Time.time(), Subject: h.Subject, Message: h.Message}
	return nil
}

// state reads the rest.
func (d *decoder) state() (*Snapshot, error) {
	s, err := d.read()
	if err != nil {
		return nil, d.source.judge(err)
	}
	return s, nil
}

func (d *decoder) read() (*Snapshot, error) {
	z, err := zstd.NewReader(d.source, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderConcurrency(2), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	r := &bodyReader{r: bufio.NewReaderSize(z, 64<<10), source: d.source, sum: sha256.New()}
	restored := r.restore()
	if err := r.image(); err != nil {
		return nil, err
	}
	var h Hash
	r.sum.Sum(h[:0])
	if err := r.sealed(d.head, h); err != nil {
		return nil, err
	}
	if r.img.Sequence != d.mark.Sequence {
		return nil, fmt.Errorf("the state ends at %d, the header says %d", r.img.Sequence, d.mark.Sequence)
	}
	return &Snapshot{Mark: d.mark, Hash: h, State: restored.State()}, nil
}

// strict refuses what deterministic never writes. Bytes that are no UTF-8 are
// let through: the log can hold them in an id, and a fold must not lose it.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, UTF8: cbor.UTF8DecodeInvalid,
		MaxNestedLevels: 8, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()

// bodyReader reads chunks, hashes them, and keeps to the bounds.
type bodyReader struct {
	r      *bufio.Reader
	source *source
	sum    hash.Hash
	chunk  []byte
	total  uint64
	// img is all but the ids. Those are handed to add as they come; begin makes it
	// of the image, once that is whole.
	img   projection.Image
	begin func(projection.Image) error
	add   func(*projection.IDImage) error
	begun bool
	ids   idReader
}

// restore puts what is read into a state.
func (r *bodyReader) restore() *projection.Restorer {
	restorer := new(projection.Restorer)
	r.begin, r.add = restorer.Begin, restorer.Add
	return restorer
}

func (r *bodyReader) image() error {
	last := kindEnd
	for {
		kind, err := r.next()
		if err != nil {
			return err
		}
		if !r.begun && (kind == kindIDs || kind == kindEnd) {
			r.begun = true
			if err := r.begin(r.img); err != nil {
				return err
			}
		}
		switch {
		case kind == kindEnd && last >= kindFleet:
			return nil
		case kind < last || kind == kindEnd || last == kindEnd && kind != kindFleet || kind == kindFleet && last == kindFleet:
			return fmt.Errorf("a chunk of kind %d stands behind one of kind %d", kind, last)
		}
		last = kind
		if err := r.items(kind); err != nil {
			return err
		}
	}
}

// next reads a chunk.
func (r *bodyReader) next() (kind byte, err error) {
	kind, err = r.r.ReadByte()
	if err != nil {
		return 0, noEOF(err)
	}
	length, err := binary.ReadUvarint(r.r)
	if err != nil {
		return 0, noEOF(err)
	}
	r.total += length
	switch {
	case length > maxChunk || (length == 0) != (kind == kindEnd):
		return 0, fmt.Errorf("a chunk of kind %d has %d bytes", kind, length)
	case r.total > maxBody || r.total > maxGrowth*r.source.n.Load()+chunkBytes:
		return 0, fmt.Errorf("%d bytes grow to more than %d", r.source.n.Load(), r.total)
	}
	r.sum.Write(binary.AppendUvarint([]byte{kind}, length))
	if uint64(cap(r.chunk)) < length {
		r.chunk = make([]byte, length)
	}
	r.chunk = r.chunk[:length]
	if _, err := io.ReadFull(r.r, r.chunk); err != nil {
		return 0, noEOF(err)
	}
	r.sum.Write(r.chunk)
	return kind, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *bodyReader) items(kind byte) error {
	img := &r.img
	switch kind {
	case kindFleet:
		return each(r.chunk, func(f *wireFleet) { f.into(img) })
	case kindPauses:
		return each(r.chunk, func(p *wirePause) { img.Pauses = append(img.Pauses, p.pause()) })
	case kindApprovals:
		return each(r.chunk, func(a *wireApproval) { img.Approvals = append(img.Approvals, a.approval()) })
	case kindRotations:
		return each(r.chunk, func(w *wireRotation) { img.Rotations = append(img.Rotations, w.rotation()) })
	case kindFlights:
		return each(r.chunk, func(f *wireFlight) { img.Flights = append(img.Flights, f.flight()) })
	case kindIDs:
		return r.addIDs()
	}
	return fmt.Errorf("a chunk is of kind %d", kind)
}

func (r *bodyReader) addIDs() error {
	r.ids.chunk(r.chunk)
	for {
		i, more, err := r.ids.next()
		if err != nil || !more {
			return err
		}
		if err := r.add(i); err != nil {
			return err
		}
	}
}

// each decodes the items of a chunk, one after the other.
func each[T any](chunk []byte, use func(*T)) error {
	for len(chunk) > 0 {
		var item T
		rest, err := strict.UnmarshalFirst(chunk, &item)
		if err != nil {
			return err
		}
		use(&item)
		chunk = rest
	}
	return nil
}

// sealed reads what stands behind the body and compares it with what was read.
func (r *bodyReader) sealed(head []byte, body Hash) error {
	var have [2 * sha256.Size]byte
	if _, err := io.ReadFull(r.r, have[:]); err != nil {
		return noEOF(err)
	}
	seal := sealOf(head, body)
	if !bytes.Equal(have[:sha256.Size], body[:]) || !bytes.Equal(have[sha256.Size:], seal[:]) {
		return errors.New("it does not have the hash that it was written with")
	}
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind its end")
	}
	return nil
}
