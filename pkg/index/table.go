package index

import "hash/maphash"

// MaxPlace is the largest place that a Table can hold.
const MaxPlace = 1<<32 - 2

// Hash is what a Table knows of a name. It differs from process to process.
type Hash uint32

var seed = maphash.MakeSeed()

// HashOf is the hash of a name.
func HashOf(name string) Hash { return Hash(maphash.String(seed, name)) }

// Table is an open-addressing hash table from names to places. The zero Table
// is empty and ready. Any number of goroutines may read at once.
type Table struct {
	// slots holds, for each entry, the hash in the upper half and the place plus
	// one in the lower; 0 is free. The length is a power of two, after Reset at
	// least twice what was asked for, else at least a quarter more than the entries.
	slots []uint64
	used  int
}

// Reset empties the table and makes room for n entries. What memory there is, is
// used again.
func (t *Table) Reset(n int) {
	size := smallest
	for size < 2*n {
		size *= 2
	}
	t.used = 0
	if cap(t.slots) < size {
		t.slots = make([]uint64, size)
		return
	}
	t.slots = t.slots[:size]
	clear(t.slots)
}

const smallest = 8

// Slot is where a search goes on.
type Slot int

// Start is where the search for a hash begins.
func (t *Table) Start(h Hash) Slot { return Slot(int(h) & (len(t.slots) - 1)) }

// Probe returns the next place that was added with the hash, and where to go on
// if it is not the one; place is -1 when there is no more.
func (t *Table) Probe(h Hash, from Slot) (place int, next Slot) {
	if len(t.slots) == 0 {
		return -1, 0
	}
	mask := Slot(len(t.slots) - 1)
	for {
		entry := t.slots[from&mask]
		from++
		if entry == 0 {
			return -1, from
		}
		if Hash(entry>>32) == h {
			return int(uint32(entry)) - 1, from
		}
	}
}

// Add adds a place under a hash.
func (t *Table) Add(h Hash, place int) {
	if (t.used+1)*5 > len(t.slots)*4 {
		t.grow()
	}
	t.used++
	t.put(uint64(h)<<32 | uint64(place+1))
}

func (t *Table) put(entry uint64) {
	mask := uint64(len(t.slots) - 1)
	slot := entry >> 32 & mask
	for t.slots[slot] != 0 {
		slot = (slot + 1) & mask
	}
	t.slots[slot] = entry
}

// grow needs no names: the hash stands beside each place.
func (t *Table) grow() {
	old := t.slots
	t.slots = make([]uint64, max(smallest, 2*len(old)))
	for _, entry := range old {
		if entry != 0 {
			t.put(entry)
		}
	}
}

// Len is how many entries were added.
func (t *Table) Len() int { return t.used }
