package projection

import "slices"

// inPiece is how many values lie in one piece: few enough that one is copied in
// some microseconds, and many enough that a list of pieces is short.
const inPiece = 256

// pieces is a list that grows without being moved, and that others may have as it
// was: a piece that is lent is copied before it is changed.
type pieces[T any] struct {
	list [][]T
	lent []bool // by piece
	len  int
}

// at is for who only reads.
func (p *pieces[T]) at(n int) *T { return &p.list[n/inPiece][n%inPiece] }

// change is for who writes. What at gave before must not be used any more.
func (p *pieces[T]) change(n int) *T {
	if i := n / inPiece; p.lent[i] {
		p.list[i], p.lent[i] = slices.Clone(p.list[i]), false
	}
	return p.at(n)
}

// add makes room for another value, and says where.
func (p *pieces[T]) add() int {
	if p.len%inPiece == 0 {
		p.list, p.lent = append(p.list, make([]T, inPiece)), append(p.lent, false)
	}
	p.len++
	return p.len - 1
}

// lend is the list as it is now, for who only reads.
func (p *pieces[T]) lend() pieces[T] {
	for i := range p.lent {
		p.lent[i] = true
	}
	return pieces[T]{list: slices.Clone(p.list), len: p.len}
}
