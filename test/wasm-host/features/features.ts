/**
 * What of WebAssembly toolchains emit, each as fields of a module whose function $f returns 7 if the engine does it right; docs/wasm-features.md
 * has a row for each.
 */
export const features: Readonly<Record<string, string>> = {
  "mutable globals": `(global $g (export "g") (mut i32) (i32.const 6))
    (func $f (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g))`,
  "sign extension": `(func $f (result i32) (i32.sub (i32.const 0) (i32.extend8_s (i32.const 0xf9))))`,
  "non-trapping float-to-int": `(func $f (result i32)
      (i32.add (i32.const 7) (i32.trunc_sat_f32_s (f32.const nan))))`,
  "multi-value": `(func $two (result i32 i32) (i32.const 3) (i32.const 4))
    (func $f (result i32) (block (result i32 i32) (call $two)) (i32.add))`,
  "bulk memory": `(memory 1) (data $d "\\07")
    (func $f (result i32)
      (memory.init $d (i32.const 8) (i32.const 0) (i32.const 1))
      (memory.copy (i32.const 16) (i32.const 8) (i32.const 1))
      (memory.fill (i32.const 8) (i32.const 0) (i32.const 8))
      (data.drop $d)
      (i32.load8_u (i32.const 16)))`,
  "reference types": `(table $t 2 externref)
    (func $f (result i32)
      (table.set $t (i32.const 0) (ref.null extern))
      (i32.add
        (i32.add (ref.is_null (table.get $t (i32.const 0))) (table.grow $t (ref.null extern) (i32.const 2)))
        (table.size $t)))`,
  "fixed-width SIMD": `(func $f (result i32)
      (i32x4.extract_lane 2 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 4 4 4 4))))`,
  "relaxed SIMD": `(func $f (result i32)
      (i32x4.extract_lane 1 (i32x4.relaxed_trunc_f32x4_s
        (f32x4.relaxed_madd (v128.const f32x4 0 2 0 0) (v128.const f32x4 0 3 0 0) (v128.const f32x4 0 1.5 0 0)))))`,
  "extended constant expressions": `(global $a i32 (i32.const 3)) (global $b i32 (i32.add (global.get $a) (i32.const 4)))
    (func $f (result i32) (global.get $b))`,
  "tail calls": `(type $t (func (param i32) (result i32))) (table 1 funcref) (elem (i32.const 0) $down)
    (func $down (type $t)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 7))
        (else (if (result i32) (i32.and (local.get 0) (i32.const 1))
          (then (return_call $down (i32.sub (local.get 0) (i32.const 1))))
          (else (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))))
    (func $f (result i32) (call $down (i32.const 1000000)))`,
  "exceptions, as standardised": `(tag $t (param i32))
    (func $f (result i32) (local $e exnref)
      (block $again (result i32)
        (block $handler (result i32 exnref)
          (try_table (catch_ref $t $handler) (throw $t (i32.const 7)))
          (unreachable))
        (local.set $e) (drop)
        (try_table (catch $t $again) (throw_ref (local.get $e)))
        (unreachable)))`,
  "exceptions, as browsers had them first": `(tag $t (param i32))
    (func $thrower (param i32) (throw $t (local.get 0)))
    (func $f (result i32)
      try (result i32)
        try
          i32.const 7 call $thrower
        catch_all
          rethrow 0
        end
        i32.const 0
      catch $t
      end)`,
  "garbage collection": `(type $node (struct (field i32) (field (ref null $node)))) (type $bytes (array (mut i8)))
    (func $f (result i32) (local $list (ref null $node))
      (local.set $list (struct.new $node (i32.const 2) (struct.new $node (i32.const 1) (ref.null $node))))
      (i32.add
        (i32.add (struct.get $node 0 (local.get $list)) (struct.get $node 0 (struct.get $node 1 (local.get $list))))
        (i32.add
          (array.len (array.new $bytes (i32.const 0) (i32.const 3)))
          (ref.test (ref i31) (ref.i31 (i32.const 1))))))`,
  "typed function references": `(type $t (func (result i32))) (elem declare func $g)
    (func $g (type $t) (i32.const 7))
    (func $f (result i32) (call_ref $t (ref.as_non_null (ref.func $g))))`,
  "multiple memories": `(memory $a 1) (memory $b 1)
    (func $f (result i32)
      (i32.store $b (i32.const 0) (i32.const 7))
      (memory.copy $a $b (i32.const 8) (i32.const 0) (i32.const 4))
      (i32.add (i32.load $a (i32.const 8)) (i32.load $a (i32.const 0))))`,
  "64-bit memories": `(memory i64 65537) ;; 4 GiB and a page
    (func $f (result i32)
      (i32.store (i64.const 0x100000008) (i32.const 7))
      (i32.add (i32.load (i64.const 0x100000008)) (i32.load (i64.const 8))))`,
  "64-bit tables": `(table i64 1 funcref) (elem (i64.const 0) $g) (type $t (func (result i32)))
    (func $g (type $t) (i32.const 7))
    (func $f (result i32) (call_indirect (type $t) (i64.const 0)))`,
  "threads and atomics": `(memory 1 1 shared)
    (func $f (result i32)
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 5)))
      (atomic.fence)
      ;; nobody waits: 0; it is not 9: 1
      (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
      (i32.add
        (i32.atomic.load (i32.const 0))
        (i32.mul (i32.const 2) (memory.atomic.wait32 (i32.const 0) (i32.const 9) (i64.const -1)))))`,
  "branch hints": `(func $f (result i32)
      (@metadata.code.branch_hint "\\00") (if (result i32) (i32.const 1) (then (i32.const 7)) (else (i32.const 8))))`,
};

/** What V8 14.6 has not, or has not finished: fields of a module, and what it is said to need. */
export const missingFeatures: Readonly<Record<string, string>> = {
  "custom page sizes": `(memory 1 (pagesize 1))`,
  "wide arithmetic": `(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4)))`,
  "stack switching": `(type $f (func)) (type $c (cont $f)) (func $g) (elem declare func $g)
    (func (drop (cont.new $c (ref.func $g))))`,
  "shared-everything threads": `(type $s (shared (struct (field i32)))) (func (drop (ref.null $s)))`,
  "memory control": `(memory 1) (func (memory.discard (i32.const 0) (i32.const 65536)))`,
};

/** A command that traps unless $f returns 7. */
export function commandOf(fields: string): string {
  return `(module ${fields}
    (func (export "_start") (if (i32.ne (call $f) (i32.const 7)) (then (unreachable)))))`;
}

/** The same as a component of the world wasi:cli/command. */
export function componentOf(fields: string): string {
  return `(component
    (core module $m ${fields}
      (func (export "run") (result i32) (if (i32.ne (call $f) (i32.const 7)) (then (unreachable))) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $exported (export "run" (func $run)))
    (export "wasi:cli/run@0.2.3" (instance $exported)))`;
}
