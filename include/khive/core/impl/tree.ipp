// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/tree.hpp>

#include <cassert>
#include <cstdint>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL std::size_t AnyTree::size() const noexcept
{
    std::size_t count = 0;
    for (const TreeNode* node = first(); node != nullptr; node = after(*node)) ++count;
    return count;
}

KHIVE_DECL TreeNode* AnyTree::after(const TreeNode& node) const noexcept
{
    if (TreeNode* next = node.right_) {
        while (next->left_ != nullptr) next = next->left_;
        return next;
    }
    const TreeNode* below = &node;
    while (below->parent_->right_ == below) below = below->parent_;
    return below->parent_ == &top_ ? nullptr : below->parent_;
}

KHIVE_DECL TreeNode* AnyTree::lower_bound(const void* key, LessThanKey less) const noexcept
{
    TreeNode* found = nullptr;
    for (TreeNode* node = top_.left_; node != nullptr;) {
        const bool before = less(*node, key);
        if (!before) found = node;
        node = before ? node->right_ : node->left_;
    }
    return found;
}

KHIVE_DECL void AnyTree::link(TreeNode& node, Less less) noexcept
{
    assert(!node.is_linked());
    TreeNode* parent = &top_;
    TreeNode** place = &top_.left_;
    bool comes_first = true;
    while (*place != nullptr) {
        parent = *place;
        const bool before = less(node, *parent);
        place = before ? &parent->left_ : &parent->right_;
        comes_first = comes_first && before;
    }
    *place = &node;
    node.parent_ = parent;
    if (comes_first) first_ = &node;
    while (node.parent_ != &top_ && belongs_above(node, *node.parent_)) raise(node);
}

KHIVE_DECL void AnyTree::unlink(TreeNode& node) noexcept
{
    assert(node.is_linked());
    if (first_ == &node) first_ = after(node);
    while (node.left_ != nullptr && node.right_ != nullptr)
        raise(belongs_above(*node.left_, *node.right_) ? *node.left_ : *node.right_);
    put_in_place_of(node, node.left_ != nullptr ? node.left_ : node.right_);
    node.parent_ = node.left_ = node.right_ = nullptr;
}

KHIVE_DECL bool AnyTree::belongs_above(const TreeNode& node, const TreeNode& other) noexcept
{
    const auto number = [](const TreeNode& of) {
        return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&of)) * 0x9E3779B97F4A7C15u; // Fibonacci hashing
    };
    return number(node) > number(other);
}

KHIVE_DECL void AnyTree::put_in_place_of(const TreeNode& old, TreeNode* node) noexcept
{
    TreeNode& parent = *old.parent_;
    (parent.left_ == &old ? parent.left_ : parent.right_) = node;
    if (node != nullptr) node->parent_ = &parent;
}

KHIVE_DECL void AnyTree::raise(TreeNode& node) noexcept
{
    TreeNode& parent = *node.parent_;
    const bool is_left = parent.left_ == &node;
    TreeNode*& between = is_left ? node.right_ : node.left_; // in order, and so the parent's from now on
    (is_left ? parent.left_ : parent.right_) = between;
    if (between != nullptr) between->parent_ = &parent;
    put_in_place_of(parent, &node);
    between = &parent;
    parent.parent_ = &node;
}

} // namespace khive::inline KHIVE_ABI
