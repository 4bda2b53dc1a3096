package events

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"slices"
)

// BundleDigest names a trust bundle by the certificates in it, in whatever order
// they stand: "sha256:" and the hash, in lower-case hex, of the sorted hashes of
// their DER. Each text is PEM of any number of certificates; what is not PEM is
// passed over. A bundle without certificates has the digest "".
func BundleDigest(texts ...[]byte) string {
	var sums [][]byte
	for _, text := range texts {
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			sum := sha256.Sum256(block.Bytes)
			sums = append(sums, sum[:])
		}
	}
	if len(sums) == 0 {
		return ""
	}
	slices.SortFunc(sums, bytes.Compare)
	sums = slices.CompactFunc(sums, bytes.Equal)
	all := sha256.Sum256(bytes.Join(sums, nil))
	return "sha256:" + hex.EncodeToString(all[:])
}
