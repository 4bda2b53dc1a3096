package identity

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
)

// maxPEMBytes bounds every certificate and request that comes from outside.
const maxPEMBytes = 64 << 10

// blanks are what may stand around a PEM block. What only Unicode calls a blank is
// none to other readers of PEM, who would pass over the block beside it.
const blanks = " \t\r\n"

// onePEM returns the content of data, which must be one PEM block of the given
// type and nothing else but white space around it. The decoder of the standard
// library skips what it cannot read; here nothing is skipped.
func onePEM(data []byte, blockType string) ([]byte, error) {
	if len(data) > maxPEMBytes {
		return nil, fmt.Errorf("it is %d bytes long, at most %d are allowed", len(data), maxPEMBytes)
	}
	trimmed := bytes.Trim(data, blanks)
	begin := []byte("-----BEGIN ")
	if !bytes.HasPrefix(trimmed, begin) {
		return nil, errors.New("it does not begin with a PEM block")
	}
	if bytes.Count(trimmed, begin) != 1 {
		return nil, errors.New("it holds more than one PEM block")
	}
	block, rest := pem.Decode(trimmed)
	switch {
	case block == nil:
		return nil, errors.New("the PEM block is damaged")
	case block.Type != blockType:
		return nil, fmt.Errorf("the PEM block is a %q, not a %q", block.Type, blockType)
	case len(block.Headers) != 0:
		return nil, errors.New("the PEM block has headers")
	case len(bytes.Trim(rest, blanks)) != 0:
		return nil, errors.New("something follows the PEM block")
	}
	return block.Bytes, nil
}

// splitPEM divides a chain into its blocks, each to be read by onePEM: one begins
// with a line. What does not end like a block is the rest of the last one.
func splitPEM(data []byte) [][]byte {
	begin := []byte("\n-----BEGIN ")
	var blocks [][]byte
	rest := bytes.Trim(data, blanks)
	for len(rest) > 0 {
		end := len(rest)
		if next := bytes.Index(rest, begin); next >= 0 {
			end = next + 1
		}
		blocks, rest = append(blocks, rest[:end]), rest[end:]
	}
	return blocks
}

func toPEM(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}
