use std::collections::VecDeque;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use proptest::prelude::{Strategy, prop_assert_eq, proptest};

use super::{ArcList, Link, Linked};

#[derive(Debug)]
struct Element {
    id: usize,
    links: [Link<Element>; 2],
}

impl Element {
    fn new(id: usize) -> Arc<Element> {
        Arc::new(Element {
            id,
            links: [Link::new(), Link::new()],
        })
    }
}

impl Linked<0> for Element {
    fn link(&self) -> &Link<Element> {
        &self.links[0]
    }
}

impl Linked<1> for Element {
    fn link(&self) -> &Link<Element> {
        &self.links[1]
    }
}

type List = ArcList<Element, 0>;

fn ids(list: &List) -> Vec<usize> {
    list.iter().map(|element| element.id).collect()
}

fn id_of(element: Option<Arc<Element>>) -> Option<usize> {
    element.map(|element| element.id)
}

/// What is done to one of two lists with one of a few elements.
#[derive(Copy, Clone, Debug)]
enum Step {
    PushBack(usize, usize),
    PushFront(usize, usize),
    PopFront(usize),
    PopWhere(usize, usize),
    Remove(usize, usize),
}

const ELEMENTS: usize = 6;

fn any_step() -> impl Strategy<Value = Step> {
    (0..5, 0..2_usize, 0..ELEMENTS).prop_map(|(kind, list, element)| match kind {
        0 => Step::PushBack(list, element),
        1 => Step::PushFront(list, element),
        2 => Step::PopFront(list),
        3 => Step::PopWhere(list, element),
        _ => Step::Remove(list, element),
    })
}

/// Takes `id` out of a model of a list.
fn take(model: &mut VecDeque<usize>, id: usize) -> Option<usize> {
    let place = model.iter().position(|one| *one == id)?;
    model.remove(place)
}

proptest! {
    #[test]
    fn two_lists_agree_with_two_queues(steps in proptest::collection::vec(any_step(), 0..80)) {
        let elements: Vec<_> = (0..ELEMENTS).map(Element::new).collect();
        let mut lists = [List::new(), List::new()];
        let mut models = [VecDeque::new(), VecDeque::new()];
        for step in steps {
            match step {
                Step::PushBack(_, id) | Step::PushFront(_, id) if models.iter().any(|model| model.contains(&id)) => {}
                Step::PushBack(list, id) => {
                    lists[list].push_back(elements[id].clone());
                    models[list].push_back(id);
                }
                Step::PushFront(list, id) => {
                    lists[list].push_front(elements[id].clone());
                    models[list].push_front(id);
                }
                Step::PopFront(list) => prop_assert_eq!(id_of(lists[list].pop_front()), models[list].pop_front()),
                Step::PopWhere(list, id) => {
                    let popped = lists[list].pop_first_where(|element| element.id == id);
                    prop_assert_eq!(id_of(popped), take(&mut models[list], id));
                }
                Step::Remove(list, id) => {
                    prop_assert_eq!(id_of(lists[list].remove(&elements[id])), take(&mut models[list], id));
                }
            }
            for (list, model) in lists.iter().zip(&models) {
                prop_assert_eq!(ids(list), Vec::from(model.clone()));
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
            for element in &elements {
                let listed = models.iter().filter(|model| model.contains(&element.id)).count();
                prop_assert_eq!(Arc::strong_count(element), 1 + listed);
            }
        }
        drop(lists);
        prop_assert_eq!(elements.iter().map(Arc::strong_count).sum::<usize>(), ELEMENTS);
    }
}

#[test]
fn an_element_may_be_in_one_list_by_each_of_its_links() {
    let element = Element::new(1);
    let (mut by_first, mut by_second) = (List::new(), ArcList::<Element, 1>::new());
    by_first.push_back(element.clone());
    by_second.push_back(element.clone());
    assert!(by_first.remove(&element).is_some());
    assert!(by_second.contains(&element));
}

#[test]
#[should_panic(expected = "in a list already")]
fn an_element_is_in_one_list_at_a_time_by_the_same_link() {
    let element = Element::new(1);
    let (mut first, mut second) = (List::new(), List::new());
    first.push_back(element.clone());
    second.push_back(element);
}

#[test]
fn a_list_that_moves_keeps_its_elements() {
    let element = Element::new(1);
    let mut list = List::new();
    list.push_back(element.clone());
    let mut moved = std::boxed::Box::new(list);
    assert_eq!(id_of(moved.remove(&element)), Some(1));
}

/// An implementation of `Linked` that breaks its promise: all elements show the link of the first.
struct Liar(Arc<Link<Liar>>);

impl Linked for Liar {
    fn link(&self) -> &Link<Liar> {
        &self.0
    }
}

#[test]
fn elements_that_share_a_link_get_back_the_one_that_was_pushed() {
    let link = Arc::new(Link::new());
    let (pushed, other) = (Arc::new(Liar(link.clone())), Arc::new(Liar(link)));
    let mut list = ArcList::<Liar>::new();
    list.push_back(pushed.clone());
    let removed = list.remove(&other).expect("the link is in the list");
    assert!(Arc::ptr_eq(&removed, &pushed));
    assert_eq!(Arc::strong_count(&other), 1);
}

#[test]
fn the_first_element_that_is_wanted_is_found_and_stays_in_the_list() {
    let mut list = List::new();
    for id in [1, 4, 6] {
        list.push_back(Element::new(id));
    }
    let found = list.find_arc(|element| element.id % 2 == 0);
    assert_eq!(found.as_ref().map(Arc::strong_count), Some(2));
    assert_eq!((id_of(found), ids(&list)), (Some(4), vec![1, 4, 6]));
    assert!(list.find_arc(|element| element.id == 5).is_none());
}

#[test]
fn the_first_few_that_are_wanted_are_taken_out_in_order_and_the_others_stay() {
    let elements: Vec<_> = (0..7).map(Element::new).collect();
    for (count, expected) in [(0, vec![]), (2, vec![0, 2]), (9, vec![0, 2, 4, 6])] {
        let mut list = List::new();
        elements
            .iter()
            .for_each(|element| list.push_back(element.clone()));
        let mut taken = vec![];
        let is_even = |element: &Element| element.id.is_multiple_of(2);
        let number = list.take_where(count, is_even, |element| taken.push(element.id));
        assert_eq!((number, &taken), (expected.len(), &expected));
        let rest: Vec<_> = (0..7).filter(|id| !expected.contains(id)).collect();
        assert_eq!(ids(&list), rest);
        assert_eq!(list.len(), rest.len());
    }
}
