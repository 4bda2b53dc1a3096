package identity

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/fleetfold/fleetfold/pkg/fleet"
)

// RegionShards is in how many parts a set of regions is told, so that a change of
// one node is a small one: of a million nodes, a part has about 4000, in 62 kB.
const RegionShards = 256

// RegionDigest stands for a region's intermediate and a node that it may sign for:
// the first half of a SHA-256, so that nobody finds two nodes with the same one.
type RegionDigest [16]byte

// DigestRegion is the digest of a node and of a region, as RegionLabel or RegionOf
// names that.
func DigestRegion(label string, node fleet.NodeID) RegionDigest {
	text := append([]byte{byte(len(label))}, label...) // a label has 64 bytes at most
	sum := sha256.Sum256(append(text, node...))
	return RegionDigest(sum[:])
}

// Shard is the part of the set that it belongs into.
func (d RegionDigest) Shard() int { return int(d[0]) }

// RegionSet is which intermediate may sign for which node. The zero value is a set
// of which no part is known.
type RegionSet struct {
	shards [RegionShards][]byte
	known  [RegionShards]bool
	parts  int
}

// EncodeRegions is the text of one part: the digests, in order, each once.
func EncodeRegions(digests []RegionDigest) []byte {
	slices.SortFunc(digests, func(a, b RegionDigest) int { return bytes.Compare(a[:], b[:]) })
	text := make([]byte, 0, len(digests)*len(RegionDigest{}))
	for _, d := range slices.Compact(digests) {
		text = append(text, d[:]...)
	}
	return text
}

// With is the set with another text of one part. Errors are a *Refusal.
func (s *RegionSet) With(shard int, text []byte) (*RegionSet, error) {
	const size = len(RegionDigest{})
	if shard < 0 || shard >= RegionShards || len(text)%size != 0 || len(text) > maxRegionBytes {
		return nil, refuse(RegionsUnparsable, fmt.Sprintf("%d bytes are no part %d of the regions", len(text), shard))
	}
	for at := 0; at < len(text); at += size {
		if int(text[at]) != shard || at > 0 && bytes.Compare(text[at-size:at], text[at:at+size]) >= 0 {
			return nil, refuse(RegionsUnparsable, fmt.Sprintf("digest %d is out of order in part %d of the regions", at/size, shard))
		}
	}
	next := *s
	if !next.known[shard] {
		next.known[shard] = true
		next.parts++
	}
	next.shards[shard] = text
	return &next, nil
}

// maxRegionBytes bounds one part: sixteen million nodes.
const maxRegionBytes = 1 << 20

// Complete says that all parts are known.
func (s *RegionSet) Complete() bool { return s.parts == RegionShards }

// Allows says that the intermediate of the region with that label may sign for the
// node.
func (s *RegionSet) Allows(label string, node fleet.NodeID) bool {
	d := DigestRegion(label, node)
	text := s.shards[d.Shard()]
	low, high := 0, len(text)/len(d)
	for low < high {
		middle := (low + high) / 2
		switch c := bytes.Compare(text[middle*len(d):(middle+1)*len(d)], d[:]); {
		case c == 0:
			return true
		case c < 0:
			low = middle + 1
		default:
			high = middle
		}
	}
	return false
}
