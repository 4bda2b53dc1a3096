package snapshot

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
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
