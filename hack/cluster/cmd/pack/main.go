// Command pack makes a container image of a static binary, without a container
// engine and without a registry:
//
//	pack IMAGE:TAG BINARY [SRC:/DEST...] > image.tar
//
// The binary is the image's entrypoint, at / under its own name, and runs as an
// unprivileged user unless the pod says otherwise. Every SRC becomes the file
// DEST. The archive is an OCI image layout, the same for the same input.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("pack: ")
	if len(os.Args) < 3 {
		log.Fatal("usage: pack IMAGE:TAG BINARY [SRC:/DEST...] > image.tar")
	}
	if err := pack(os.Stdout, os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		log.Fatal(err)
	}
}

// file is what an archive holds under a path.
type file struct {
	content []byte
	mode    int64
}

func pack(w io.Writer, image, binary string, extra []string) error {
	if err := checkName(image); err != nil {
		return err
	}
	if err := checkStatic(binary); err != nil {
		return err
	}
	entrypoint := "/" + filepath.Base(binary)
	layer, err := packLayer(append([]string{binary + ":" + entrypoint}, extra...))
	if err != nil {
		return err
	}

	layout := map[string]file{"oci-layout": {content: []byte(`{"imageLayoutVersion":"1.0.0"}`), mode: 0o644}}
	blob := func(mediaType string, content []byte) object {
		digest := digest(content)
		layout["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] = file{content: content, mode: 0o644}
		return object{"mediaType": mediaType, "digest": digest, "size": len(content)}
	}
	config := blob("application/vnd.oci.image.config.v1+json", encode(object{
		"os":           "linux",
		"architecture": runtime.GOARCH,
		"config": object{
			"User":       "65532:65532",
			"Entrypoint": []string{entrypoint},
			"Env":        []string{"PATH=/"},
			"WorkingDir": "/",
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	}))
	manifest := blob("application/vnd.oci.image.manifest.v1+json", encode(object{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        config,
		"layers":        []object{blob("application/vnd.oci.image.layer.v1.tar", layer)},
	}))
	manifest["annotations"] = object{"io.containerd.image.name": image}
	manifest["platform"] = object{"os": "linux", "architecture": runtime.GOARCH}
	layout["index.json"] = file{mode: 0o644, content: encode(object{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.index.v1+json",
		"manifests":     []object{manifest},
	})}
	return archive(w, layout)
}

// checkName refuses names that Kubernetes would complete: the pod would then ask
// for an image of another name than the one that was loaded.
func checkName(image string) error {
	registry, rest, found := strings.Cut(image, "/")
	if !found || registry != "localhost" && !strings.ContainsAny(registry, ".:") {
		return fmt.Errorf("the image's name %q lacks a registry: call it localhost/%s", image, image)
	}
	if _, tag, _ := strings.Cut(rest, ":"); tag == "" || tag == "latest" {
		return fmt.Errorf("the image's name %q needs a tag other than latest, which Kubernetes would always pull", image)
	}
	return nil
}

// checkStatic refuses a binary that needs a C library, which the image has not.
func checkStatic(binary string) error {
	f, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("reading %s: %w", binary, err)
	}
	defer func() { _ = f.Close() }()
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return fmt.Errorf("%s is linked dynamically: build it with CGO_ENABLED=0", binary)
	}
	return nil
}

// packLayer makes the image's one layer of SRC:/DEST pairs, users and a /tmp.
func packLayer(pairs []string) ([]byte, error) {
	files := map[string]file{
		"tmp/":       {mode: 0o1777},
		"etc/passwd": {mode: 0o644, content: []byte("root:x:0:0::/:/\nnonroot:x:65532:65532::/:/\n")},
		"etc/group":  {mode: 0o644, content: []byte("root:x:0:\nnonroot:x:65532:\n")},
	}
	for _, pair := range pairs {
		src, dest, ok := strings.Cut(pair, ":")
		if !ok || !path.IsAbs(dest) || strings.HasSuffix(dest, "/") {
			return nil, fmt.Errorf("%q is not SRC:/DEST", pair)
		}
		info, err := os.Stat(src)
		if err != nil {
			return nil, err
		}
		content, err := os.ReadFile(src)
		if err != nil {
			return nil, err
		}
		mode := int64(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		files[path.Clean(dest)[1:]] = file{content: content, mode: mode}
	}
	for name := range maps.Clone(files) {
		for dir := path.Dir(strings.TrimSuffix(name, "/")); dir != "."; dir = path.Dir(dir) {
			if _, ok := files[dir+"/"]; !ok {
				files[dir+"/"] = file{mode: 0o755}
			}
		}
	}
	var layer bytes.Buffer
	err := archive(&layer, files)
	return layer.Bytes(), err
}

// archive writes files in the order of their names, so that a directory, whose
// name ends in a slash, comes before what is in it.
func archive(w io.Writer, files map[string]file) error {
	t := tar.NewWriter(w)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: files[name].mode, Size: int64(len(files[name].content))}
		if strings.HasSuffix(name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := t.WriteHeader(header); err != nil {
			return err
		}
		if _, err := t.Write(files[name].content); err != nil {
			return err
		}
	}
	return t.Close()
}

type object = map[string]any

// encode encodes what always can be.
func encode(o object) []byte {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return b
}

func digest(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }
