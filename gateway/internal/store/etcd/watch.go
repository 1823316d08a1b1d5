package etcd

import (
	"context"
	"errors"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"vestibule.dev/vestibule/gateway/internal/store/wait"
)

const (
	// beatEvery is the time between two proofs that the copy is up to date. It is
	// good for ten seconds, so two may fail.
	beatEvery = 3 * time.Second
	// watchSilence ends a watch that has proven nothing for so long: the member that
	// it is at may be cut off.
	watchSilence = 8 * time.Second
	// listSilence bounds each page of the list.
	listSilence = 30 * time.Second
	pageSize    = 500
)

var (
	errWatchEnded = errors.New("the watch ended")
	errRestored   = errors.New("the cluster was restored from a backup")
	errLate       = errors.New("the watch tells of a change that it had left out, as those of etcd before 3.4.31 and 3.5.13 do")
)

// watch keeps the copy up to date until ctx is done. Each watch begins with all
// records as they are. So nothing is missed, be it that the history is compacted, or
// that the cluster was restored from a backup and counts the same revisions again.
func (s *Store) watch(ctx context.Context) {
	for failures := 0; ; {
		began := time.Now()
		err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > listSilence {
			failures = 0
		}
		failures++
		err = explain("watching", err)
		s.opts.Log.DebugContext(ctx, "store watch ended", "error", err)
		if failures == 3 {
			s.opts.Log.WarnContext(ctx, "store watch fails", "error", err)
		}
		if !wait.For(ctx, wait.Backoff(failures)) {
			return
		}
	}
}

// follow lists all records, and takes in what changes from there on, until
// something fails.
func (s *Store) follow(ctx context.Context) error {
	// A member that has lost its leader ends the watch, instead of falling behind.
	ctx, cancel := context.WithCancelCause(clientv3.WithRequireLeader(ctx))
	defer cancel(nil)
	silence := time.AfterFunc(listSilence, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	epoch := s.copy.follow(func() { cancel(errRestored) })

	began := s.opts.Now()
	revision, err := s.list(ctx, epoch, func() { silence.Reset(listSilence) })
	if err != nil {
		return err
	}
	s.copy.expect(epoch, revision, began)
	s.syncedOnce()

	silence.Reset(s.silence)
	from, options := s.all()
	watcher := clientv3.NewWatcher(s.client)
	defer func() { _ = watcher.Close() }() // it says what its context says
	said := watcher.Watch(ctx, from, append(options, clientv3.WithRev(revision+1))...)
	var beating sync.WaitGroup
	beating.Go(func() { cancel(s.beat(ctx, epoch, watcher)) })
	defer func() {
		cancel(nil)
		beating.Wait()
	}()
	for heard := began; ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r, ok := <-said:
			if !ok {
				return errWatchEnded
			}
			if err := r.Err(); err != nil {
				return err
			}
			if !s.takeIn(epoch, r) {
				return errLate
			}
		}
		if h := s.copy.lastHeard(); h != heard {
			heard = h
			silence.Reset(s.silence)
		}
	}
}

// takeIn takes in what a watch says, and returns false if that comes too late.
func (s *Store) takeIn(epoch int, r clientv3.WatchResponse) bool {
	if r.IsProgressNotify() {
		return s.copy.changed(epoch, nil, r.Header.Revision)
	}
	var changes []change
	var revision int64
	for _, e := range r.Events {
		revision = e.Kv.ModRevision
		if k, ok := s.parse(e.Kv.Key); ok {
			c := change{k, entry{nil, revision}}
			if e.Type != clientv3.EventTypeDelete {
				c.value = valueIn(e.Kv)
			}
			changes = append(changes, c)
		}
	}
	return s.copy.changed(epoch, changes, revision)
}

// list takes in all records as they are at one revision, which it returns. It calls
// progress after each page.
func (s *Store) list(ctx context.Context, epoch int, progress func()) (revision int64, err error) {
	from, options := s.all()
	options = append(options, clientv3.WithLimit(pageSize))
	for {
		m := s.copy.now()
		var page *clientv3.GetResponse
		if err := s.call(ctx, func(ctx context.Context) (err error) {
			page, err = s.client.Get(ctx, from, options...)
			return err
		}); err != nil {
			return 0, err
		}
		if !s.copy.witness(m, page.Header) {
			return 0, errRestored
		}
		if revision == 0 {
			revision = page.Header.Revision
			options = append(options, clientv3.WithRev(revision))
		}
		records := map[key][]byte{}
		for _, kv := range page.Kvs {
			if k, ok := s.parse(kv.Key); ok {
				records[k] = valueIn(kv)
			}
		}
		if !s.copy.listed(epoch, records, revision, !page.More) {
			return 0, errRestored
		}
		if !page.More {
			return revision, nil
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		progress()
	}
}

// beat proves again and again that the copy is up to date: it asks the leader at
// which revision the cluster is, and the watch's member to say when it has told all
// up to there. That of the member alone would prove nothing: it may be behind.
func (s *Store) beat(ctx context.Context, epoch int, watcher clientv3.Watcher) error {
	for wait.For(ctx, s.beatEvery) {
		m, at := s.copy.now(), s.opts.Now()
		var resp *clientv3.GetResponse
		ask := func(ctx context.Context) (err error) {
			resp, err = s.client.Get(ctx, s.opts.Prefix+"/")
			return err
		}
		if s.call(ctx, ask) != nil { // a member hangs, perhaps
			if err := s.call(ctx, ask); err != nil {
				return err
			}
		}
		if !s.copy.witness(m, resp.Header) {
			return errRestored
		}
		s.copy.expect(epoch, resp.Header.Revision, at)
		if err := watcher.RequestProgress(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) syncedOnce() {
	select {
	case <-s.synced:
	default:
		close(s.synced)
	}
}
