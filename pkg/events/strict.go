package events

import (
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"time"
)

// form is a row of the registry with what the codec derives from its payload.
type form struct {
	*Descriptor
	payload reflect.Type
	shape   *shape
	// read is the quick way to read the payload; nil where there is none.
	read reader
}

// isNodeFact says whether its subject is that of the node, Subjects.Node.
func (f *form) isNodeFact() bool { return f.Channel == ChannelLog && f.scope == scopeNode }

var forms = func() map[Type]*form {
	m := make(map[Type]*form, len(byType))
	for t, d := range byType {
		p := reflect.TypeOf(d.fresh())
		m[t] = &form{Descriptor: d, payload: p, shape: shapeOf(p.Elem()), read: readerOf(p.Elem())}
	}
	return m
}()

// shape is which fields a JSON object may and must have.
//
// encoding/json reads "EPOCH" as "epoch", lets the last of two equal names
// win, and takes null and absence for zero. Other readers of the log, and the
// schemas, do not. So the names are looked at once more: each is spelled
// exactly, stands once, is not null, and none that is required is missing.
type shape struct {
	fields map[string]shapeField
	// names[i] is the field of bit i.
	names    []string
	required uint64
}

type shapeField struct {
	bit   int
	inner *shape // of an object, or of the objects in a list
}

func shapeOf(t reflect.Type) *shape {
	s := &shape{fields: make(map[string]shapeField)}
	s.add(t)
	return s
}

func (s *shape) add(t reflect.Type) {
	for f := range fieldsOf(t) {
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" {
			s.add(f.Type)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		field := shapeField{bit: len(s.names)}
		if inner := objectIn(f.Type); inner != nil {
			field.inner = shapeOf(inner)
		}
		s.fields[name] = field
		s.names = append(s.names, name)
		if options != "omitempty" && options != "omitzero" {
			s.required |= 1 << field.bit
		}
	}
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// objectIn is the struct that a field of type t is written as, or a list of;
// nil when it is neither.
func objectIn(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	return t
}

// scanner walks over JSON that encoding/json has accepted for the same type,
// so it need not look at anything but the names.
type scanner struct {
	stack   [8]scanFrame
	depth   int
	pending *shape
	key     bool // a string would be a name
}

type scanFrame struct {
	shape *shape
	list  bool
	seen  uint64
}

func (s *shape) check(body []byte) error {
	sc := scanner{pending: s}
	for i := 0; i < len(body); i++ {
		var err error
		switch body[i] {
		case '"':
			end := stringEnd(body, i)
			if sc.key {
				err = sc.name(body[i+1 : end])
			}
			i = end
		case '{', '[':
			err = sc.open(body[i] == '[')
		case '}', ']':
			err = sc.close()
		case ',':
			sc.key = sc.depth > 0 && !sc.stack[sc.depth-1].list
		case 'n':
			err = fmt.Errorf("null stands at byte %d", i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stringEnd is where the string that begins at i has its closing quote.
func stringEnd(body []byte, i int) int {
	for i++; i < len(body)-1 && body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return min(i, len(body)-1)
}

func (sc *scanner) open(list bool) error {
	inner := sc.pending
	if sc.depth > 0 && sc.stack[sc.depth-1].list {
		inner = sc.stack[sc.depth-1].shape
	}
	if inner == nil && !list || sc.depth == len(sc.stack) {
		return fmt.Errorf("an object stands where none belongs")
	}
	sc.stack[sc.depth] = scanFrame{shape: inner, list: list}
	sc.depth++
	sc.key = !list
	return nil
}

func (sc *scanner) close() error {
	if sc.depth == 0 {
		return fmt.Errorf("brackets do not match")
	}
	sc.depth--
	sc.key = false
	f := sc.stack[sc.depth]
	if f.list {
		return nil
	}
	if missing := f.shape.required &^ f.seen; missing != 0 {
		return fmt.Errorf("field %q is missing", f.shape.names[bits.TrailingZeros64(missing)])
	}
	return nil
}

func (sc *scanner) name(raw []byte) error {
	f := &sc.stack[sc.depth-1]
	field, ok := f.shape.fields[string(raw)]
	if !ok {
		return fmt.Errorf("field %q is unknown", raw)
	}
	if f.seen&(1<<field.bit) != 0 {
		return fmt.Errorf("field %q stands twice", raw)
	}
	f.seen |= 1 << field.bit
	sc.pending, sc.key = field.inner, false
	return nil
}
