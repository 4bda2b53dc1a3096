package engine

import "math/bits"

// bitset is a set of numbers that can be walked in order at a cost that follows
// how many there are, not how large they may be. Above the bits stands a level
// with one bit for each word that is not empty, and so on.
type bitset struct {
	levels [][]uint64
	length int
}

// newBitset holds numbers from 0 to below n.
func newBitset(n int) bitset {
	var b bitset
	for {
		n = (n + 63) / 64
		b.levels = append(b.levels, make([]uint64, n))
		if n <= 1 {
			return b
		}
	}
}

// put makes i a member or not. It says whether that changed anything.
func (b *bitset) put(i int, member bool) bool {
	if b.has(i) == member {
		return false
	}
	if member {
		b.length++
		for _, words := range b.levels {
			before := words[i/64]
			words[i/64] = before | 1<<(i%64)
			if before != 0 {
				return true
			}
			i /= 64
		}
		return true
	}
	b.length--
	for _, words := range b.levels {
		words[i/64] &^= 1 << (i % 64)
		if words[i/64] != 0 {
			return true
		}
		i /= 64
	}
	return true
}

func (b *bitset) has(i int) bool { return b.levels[0][i/64]>>(i%64)&1 != 0 }

// next is the first member from i on; -1 if there is none.
func (b *bitset) next(i int) int {
	for level := 0; level < len(b.levels); level++ {
		words := b.levels[level]
		if i/64 >= len(words) {
			return -1
		}
		if rest := words[i/64] >> (i % 64); rest != 0 {
			return b.down(level, i+bits.TrailingZeros64(rest))
		}
		i = i/64 + 1
	}
	return -1
}

// down is the first member beneath the bit i of a level.
func (b *bitset) down(level, i int) int {
	for level > 0 {
		level--
		i = i*64 + bits.TrailingZeros64(b.levels[level][i])
	}
	return i
}
