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

	"github.com/fleetfold/fleetfold/pkg/projection"
)

// bodyReader reads chunks, hashes them, and keeps to the bounds.
type bodyReader struct {
	r      *bufio.Reader
	source *source
	sum    hash.Hash
	chunk  []byte
	// hashing is closed once chunk is hashed, which goes on while it is decoded.
	hashing chan struct{}
	total   uint64
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
	defer r.hashed()
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
	r.hashed() // its memory is used again
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
	r.hashing = make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		r.sum.Write(r.chunk)
	}(r.hashing)
	return kind, nil
}

// hashed waits until all that was read is hashed.
func (r *bodyReader) hashed() {
	if r.hashing != nil {
		<-r.hashing
	}
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
