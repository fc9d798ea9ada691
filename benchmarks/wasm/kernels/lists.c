// What embedded programs are made of: linked lists that are searched, reversed and merged; a state machine over text; a CRC of it all.
#include <stdint.h>
#include <stdio.h>

#define ITEMS 600

struct item {
  struct item *next;
  int16_t key, value;
};

static struct item pool[ITEMS];

static uint16_t crc(uint16_t value, uint16_t sum) {
  for (int i = 0; i < 16; i++, value >>= 1) sum = (uint16_t)(sum >> 1 ^ ((sum ^ value) & 1 ? 0xa001 : 0));
  return sum;
}

static struct item *reverse(struct item *list) {
  struct item *done = NULL;
  while (list != NULL) {
    struct item *next = list->next;
    list->next = done;
    done = list;
    list = next;
  }
  return done;
}

static struct item *merge(struct item *a, struct item *b) {
  struct item head = {0}, *tail = &head;
  while (a != NULL && b != NULL) {
    struct item **least = a->key <= b->key ? &a : &b;
    tail = tail->next = *least;
    *least = (*least)->next;
  }
  tail->next = a != NULL ? a : b;
  return head.next;
}

static struct item *sort(struct item *list) {
  if (list == NULL || list->next == NULL) return list;
  struct item *slow = list, *fast = list->next;
  while (fast != NULL && fast->next != NULL) {
    slow = slow->next;
    fast = fast->next->next;
  }
  struct item *half = slow->next;
  slow->next = NULL;
  return merge(sort(list), sort(half));
}

static const struct item *find(const struct item *list, int16_t key) {
  while (list != NULL && list->key != key) list = list->next;
  return list;
}

enum state { START, SIGN, DIGITS, POINT, FRACTION, EXPONENT, WRONG, STATES };

static void scan(const char *text, unsigned counts[STATES]) {
  for (; *text; text++) {
    enum state state = START;
    for (; *text && *text != ','; text++) {
      const int digit = *text >= '0' && *text <= '9', sign = *text == '+' || *text == '-';
      switch (state) {
        case START: state = digit ? DIGITS : sign ? SIGN : *text == '.' ? POINT : WRONG; break;
        case SIGN: state = digit ? DIGITS : *text == '.' ? POINT : WRONG; break;
        case DIGITS: state = digit ? DIGITS : *text == '.' ? POINT : *text == 'e' ? EXPONENT : WRONG; break;
        case POINT:
        case FRACTION: state = digit ? FRACTION : *text == 'e' ? EXPONENT : WRONG; break;
        case EXPONENT: state = digit || sign ? EXPONENT : WRONG; break;
        default: break;
      }
      counts[state]++;
    }
    if (!*text) break;
  }
}

__attribute__((noinline)) static uint16_t iterate(unsigned rounds) {
  static const char text[] = "5012,+12.5,-.874,3e10,abc,1.5e-7,0,-33,4.T,77777,.5e+2,x9,";
  uint16_t sum = 0;
  for (unsigned round = 0; round < rounds; round++) {
    for (int i = 0; i < ITEMS; i++)
      pool[i] = (struct item){i + 1 < ITEMS ? &pool[i + 1] : NULL, (int16_t)(i * 7919u + round), (int16_t)i};
    struct item *list = reverse(pool);
    for (int i = 0; i < 8; i++) {
      const struct item *found = find(list, (int16_t)(i * 101 * 7919u + round));
      sum = crc(found == NULL ? 0xffff : (uint16_t)found->value, sum);
    }
    list = sort(list);
    sum = crc((uint16_t)list->value, sum);
    unsigned counts[STATES] = {0};
    for (int i = 0; i < 8; i++) scan(text, counts);
    for (int i = 0; i < STATES; i++) sum = crc((uint16_t)counts[i], sum);
  }
  return sum;
}

int main(void) {
  printf("lists %04x\n", iterate(20000));
  return 0;
}
