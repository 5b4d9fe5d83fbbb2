//! The tree against vectors computed elsewhere, and against the definitions of RFC 6962 written out recursively.

use proptest::prelude::*;
use serde_json::Value;

use crate::audit::merkle::*;
use crate::audit::tiles::*;

/// MTH of RFC 6962 section 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(naive_split(leaves.len()));
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn naive_split(n: usize) -> usize {
    (0..usize::BITS).map(|power| 1 << power).take_while(|k| *k < n).last().unwrap()
}

/// PATH of RFC 6962 section 2.1.1.
fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let (left, right) = leaves.split_at(naive_split(leaves.len()));
    let (mut path, other) = if m < left.len() {
        (naive_path(m, left), naive_root(right))
    } else {
        (naive_path(m - left.len(), right), naive_root(left))
    };
    path.push(other);
    path
}

/// SUBPROOF of RFC 6962 section 2.1.2.
fn naive_subproof(m: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if whole { vec![] } else { vec![naive_root(leaves)] };
    }
    let (left, right) = leaves.split_at(naive_split(leaves.len()));
    let (mut proof, other) = if m <= left.len() {
        (naive_subproof(m, left, whole), naive_root(right))
    } else {
        (naive_subproof(m - left.len(), right, false), naive_root(left))
    };
    proof.push(other);
    proof
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

/// The tree over these leaves as tiles, grown one by one.
fn grow(leaves: &[Hash]) -> (Frontier, Tiles) {
    let (mut frontier, mut tiles) = (Frontier::new(), Tiles::new());
    for leaf in leaves {
        frontier.append(*leaf, |node, hash| {
            tiles.complete(node, hash);
        });
    }
    (frontier, tiles)
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/merkle.json")).unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

fn hash(text: &Value) -> Hash {
    Hash::from_slice(&hex::decode(text.as_str().unwrap()).unwrap()).unwrap()
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn the_empty_tree_has_the_known_root() {
    let known = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Frontier::new().root().to_string(), known);
}

#[test]
fn roots_and_proofs_are_those_of_the_vectors() {
    let vectors = vectors();
    let inputs: Vec<Vec<u8>> =
        vectors["leaves"].as_array().unwrap().iter().map(|leaf| hex::decode(leaf.as_str().unwrap()).unwrap()).collect();
    let leaves: Vec<Hash> = inputs.iter().map(|leaf| leaf_hash(leaf)).collect();
    let roots = hashes(&vectors["roots"]);
    assert_eq!(roots.len(), 9);
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(grow(&leaves[..size]).0.root(), *root, "{size}");
    }
    let (_, tiles) = grow(&leaves);
    for case in vectors["inclusion"].as_array().unwrap() {
        let (index, size) = (number(&case["index"]), number(&case["size"]));
        let path = tiles.proof(&inclusion_ranges(index as u64, size as u64)).unwrap();
        assert_eq!(path, hashes(&case["path"]), "{index} in {size}");
        assert!(verify_inclusion(leaves[index], index as u64, size as u64, &path, &roots[size]));
    }
    for case in vectors["consistency"].as_array().unwrap() {
        let (old, new) = (number(&case["old"]), number(&case["new"]));
        let proof = tiles.proof(&consistency_ranges(old as u64, new as u64)).unwrap();
        assert_eq!(proof, hashes(&case["proof"]), "{old} to {new}");
        let head = |size: usize| Head { size: size as u64, root: roots[size] };
        assert!(verify_consistency(head(old), head(new), &proof));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn appending_gives_the_root_of_the_definition(count in 0_usize..700) {
        let leaves = leaves(count);
        let (frontier, tiles) = grow(&leaves);
        prop_assert_eq!(frontier.root(), naive_root(&leaves));
        prop_assert_eq!(tiles.frontier(count as u64).unwrap(), frontier);
    }

    #[test]
    fn inclusion_proofs_are_those_of_the_definition_and_prove_nothing_else(
        count in 1_usize..700, at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()
    ) {
        let leaves = leaves(count);
        let index = at.index(count);
        let (frontier, tiles) = grow(&leaves);
        let path = tiles.proof(&inclusion_ranges(index as u64, count as u64)).unwrap();
        prop_assert_eq!(&path, &naive_path(index, &leaves));
        let verified = |leaf, index: usize, size: usize, path: &[Hash]| {
            verify_inclusion(leaf, index as u64, size as u64, path, &frontier.root())
        };
        prop_assert!(verified(leaves[index], index, count, &path));
        prop_assert!(!verified(leaf_hash(b"another"), index, count, &path));
        prop_assert!(!verified(leaves[index], count, count, &path));
        if count > 1 {
            let other = (index + 1) % count;
            prop_assert!(!verified(leaves[index], other, count, &path));
            prop_assert!(!verified(leaves[index], index, count, &path[1..]));
            let mut wrong = path.clone();
            let place = flip.index(path.len());
            wrong[place] = leaf_hash(wrong[place].as_bytes());
            prop_assert!(!verified(leaves[index], index, count, &wrong));
        }
    }

    #[test]
    fn consistency_proofs_are_those_of_the_definition_and_prove_nothing_else(
        count in 1_usize..700, at in any::<prop::sample::Index>(), flip in any::<prop::sample::Index>()
    ) {
        let leaves = leaves(count);
        let old_size = at.index(count) + 1;
        let (new, tiles) = grow(&leaves);
        let old = Head { size: old_size as u64, root: naive_root(&leaves[..old_size]) };
        let new = Head { size: count as u64, root: new.root() };
        let proof = tiles.proof(&consistency_ranges(old.size, new.size)).unwrap();
        prop_assert_eq!(&proof, &naive_subproof(old_size, &leaves, true));
        prop_assert!(verify_consistency(old, new, &proof));
        let forged = Head { root: leaf_hash(b"another"), ..old };
        prop_assert!(!verify_consistency(forged, new, &proof));
        let forged = Head { root: leaf_hash(b"another"), ..new };
        prop_assert!(!verify_consistency(old, forged, &proof));
        if !proof.is_empty() {
            let mut wrong = proof.clone();
            let place = flip.index(proof.len());
            wrong[place] = leaf_hash(wrong[place].as_bytes());
            prop_assert!(!verify_consistency(old, new, &wrong));
        }
    }

    #[test]
    fn a_tile_path_reads_back_and_nothing_else_names_it(level in 0_u32..64, index in 0_u64..1_000_000_000, width in 1_u64..=256) {
        let path = TilePath { id: TileId { level, index }, width };
        prop_assert_eq!(TilePath::parse(&path.to_string()), Some(path));
    }
}

#[test]
fn trees_above_one_tile_level_are_right() {
    let leaves = leaves(70_000);
    let (frontier, tiles) = grow(&leaves);
    assert_eq!(frontier.root(), naive_root(&leaves));
    // The example of the specification: 273 full tiles, one of 112; one full of level 1, one of 17; one of level 2 of 1.
    assert_eq!(
        right_edge(70_000),
        [
            (TileId { level: 0, index: 273 }, 112),
            (TileId { level: 1, index: 1 }, 17),
            (TileId { level: 2, index: 0 }, 1)
        ]
    );
    assert_eq!(tiles.bytes(TileId { level: 1, index: 1 }).len(), 17 * 32);
    for index in [0, 255, 256, 65_535, 65_536, 69_999] {
        let path = tiles.proof(&inclusion_ranges(index, 70_000)).unwrap();
        let leaf = leaves[usize::try_from(index).unwrap()];
        assert!(verify_inclusion(leaf, index, 70_000, &path, &frontier.root()), "{index}");
    }
}

#[test]
fn tile_paths_have_one_spelling() {
    let path = |text| TilePath::parse(text).map(|path| (path.id.level, path.id.index, path.width));
    assert_eq!(path("0/x001/x234/067"), Some((0, 1_234_067, 256)));
    assert_eq!(path("1/000.p/17"), Some((1, 0, 17)));
    for wrong in [
        "",
        "0",
        "0/",
        "0/0",
        "0/0000",
        "00/000",
        "64/000",
        "0/x000/001",
        "0/001/002",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/+01",
        "0/x001/067/",
        "entries/000",
        "-1/000",
        "0/000.p/1/2",
        "0/x001/x001/x001/x001/x001/x001/001",
    ] {
        assert_eq!(path(wrong), None, "{wrong}");
    }
}
