package documents

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// cache keeps what was fetched, by URL: as long as it is fresh in place of a
// fetch, and after that for when there is nothing better. Failures it does not keep.
type cache[T any] struct {
	now func() time.Time
	// fetch gets a value, and for how long it is fresh. known says that the URL
	// had one before.
	fetch func(ctx context.Context, url string, known bool) (T, time.Duration, error)
	max   int

	flights singleflight.Group
	mu      sync.Mutex
	items   map[string]*list.Element
	order   *list.List // of *item[T], the one used last in front
}

type item[T any] struct {
	url        string
	value      T
	fetchedAt  time.Time
	freshUntil time.Time
}

func newCache[T any](limit int, now func() time.Time, fetch func(context.Context, string, bool) (T, time.Duration, error)) *cache[T] {
	return &cache[T]{now: now, fetch: fetch, max: limit, items: map[string]*list.Element{}, order: list.New()}
}

// last returns what was fetched last, however long ago, or nil.
func (c *cache[T]) last(url string) *item[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.items[url]
	if e == nil {
		return nil
	}
	c.order.MoveToFront(e)
	return e.Value.(*item[T])
}

// fresh returns what is fresh, or fetches it.
func (c *cache[T]) fresh(ctx context.Context, url string) (T, error) {
	if it := c.last(url); it != nil && c.now().Before(it.freshUntil) {
		return it.value, nil
	}
	return c.refresh(ctx, url)
}

// refresh fetches, once for all who ask at the same time: one of them who gives
// up does not take the others along.
func (c *cache[T]) refresh(ctx context.Context, url string) (T, error) {
	flight := c.flights.DoChan(url, func() (v any, err error) {
		// A panic here would be nobody's request, and end the process.
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("reading what was fetched: panic: %v", r)
			}
		}()
		known := c.last(url) != nil
		value, freshFor, err := c.fetch(context.WithoutCancel(ctx), url, known)
		if err == nil {
			c.keep(url, value, freshFor)
		}
		return value, err
	})
	select {
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	case result := <-flight:
		value, _ := result.Val.(T)
		return value, result.Err
	}
}

func (c *cache[T]) keep(url string, value T, freshFor time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	it := &item[T]{url, value, now, now.Add(freshFor)}
	if e := c.items[url]; e != nil {
		e.Value = it
		return
	}
	c.items[url] = c.order.PushFront(it)
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		delete(c.items, c.order.Remove(oldest).(*item[T]).url)
	}
}
